"""A fixed moment, so that the demo's studies are the same in every test."""

from datetime import datetime

MOMENT = datetime(2026, 3, 4, 10, 20, 30).astimezone()
