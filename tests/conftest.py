"""What holds for every test."""

import os

from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach for a hub, however a library is set up

# A loaded machine is no error of the code, so examples have no deadline; CI tries the same ones every time.
settings.register_profile("textseg", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("textseg")
