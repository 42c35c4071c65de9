"""Write the two manifests of the MONAI Application Package from app.yaml.

`python packaging/manifests.py` writes packaging/map/app.json and packaging/map/pkg.json. A test compares them
with app.yaml, so that they cannot drift apart.
"""

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = ROOT / "packaging" / "map"
API_VERSION = "1.0.0"
APPLICATION_ROOT = "/opt/holoscan/app"
MODEL_ROOT = "/opt/holoscan/models"
WORK = "/var/holoscan"
INPUT = f"{WORK}/input"
OUTPUT = f"{WORK}/output"
ENTRY_POINT = "/usr/local/bin/textseg-map"


def application_manifest(config: dict[str, Any]) -> dict[str, Any]:
    """Return app.json: how the package is started, and what it takes and gives."""
    application = config["application"]
    return {
        "apiVersion": API_VERSION,
        "command": json.dumps([ENTRY_POINT]),
        "environment": {
            "HOLOSCAN_APPLICATION": APPLICATION_ROOT,
            "HOLOSCAN_INPUT_PATH": INPUT,
            "HOLOSCAN_OUTPUT_PATH": OUTPUT,
            "HOLOSCAN_WORKDIR": WORK,
            "HOLOSCAN_MODEL_PATH": MODEL_ROOT,
            "HOLOSCAN_CONFIG_PATH": f"{APPLICATION_ROOT}/app.yaml",
            "HOLOSCAN_APP_MANIFEST_PATH": "/etc/holoscan/app.json",
            "HOLOSCAN_PKG_MANIFEST_PATH": "/etc/holoscan/pkg.json",
        },
        "input": {"path": INPUT, "formats": application["input-formats"]},
        "liveness": None,
        "output": {"path": OUTPUT, "formats": application["output-formats"]},
        "readiness": None,
        "sdk": "monai-deploy",
        "sdkVersion": sdk_version(),
        "timeout": 0,
        "version": application["version"],
        "workingDirectory": WORK,
    }


def package_manifest(config: dict[str, Any]) -> dict[str, Any]:
    """Return pkg.json: where things lie and what the package needs. Its models come inside its libraries."""
    return {
        "apiVersion": API_VERSION,
        "applicationRoot": APPLICATION_ROOT,
        "modelRoot": MODEL_ROOT,
        "models": {},
        "platformConfig": None,
        "resources": config["resources"],
        "version": config["application"]["version"],
    }


def sdk_version() -> str:
    """Return the version of the MONAI Deploy App SDK that requirements.in pins."""
    lines = (ROOT / "requirements.in").read_text().splitlines()
    (pin,) = (line for line in lines if line.startswith("monai-deploy-app-sdk=="))
    return pin.partition("==")[2]


def rendered() -> dict[str, str]:
    """Return the text of each manifest by its file name."""
    config = yaml.safe_load((ROOT / "app.yaml").read_text())
    manifests = {"app.json": application_manifest(config), "pkg.json": package_manifest(config)}
    return {name: json.dumps(content, indent=2) + "\n" for name, content in manifests.items()}


def main() -> None:
    """Write both manifests."""
    MANIFESTS.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (MANIFESTS / name).write_text(text)


if __name__ == "__main__":
    main()
