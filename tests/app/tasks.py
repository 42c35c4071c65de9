"""One task for the service's tests: a mass in every ultrasound series."""

from typing import Any

TASK: dict[str, Any] = {
    "name": "mass",
    "when": {"modality": ["US"]},
    "all": True,
    "targets": [
        {
            "segment": {
                "label": "Mass",
                "category": {
                    "value": "49755003",
                    "scheme": "SCT",
                    "meaning": "Morphologically Abnormal Structure",
                },
                "type": {"value": "4147007", "scheme": "SCT", "meaning": "Mass"},
            },
            "prompts": ["a mass"],
        }
    ],
    "destinations": [{"ae": "PACS", "accepts": ["SEG", "PM", "SC", "SR"]}],
}
