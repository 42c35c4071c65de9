"""``textseg send``: send a folder of DICOM files to a configured AE, to try an installation out."""

from pathlib import Path

from rich.console import Console

from app.config import AE, Config
from app.delivery.responses import Verdict
from app.delivery.sender import Answer, send_files
from models.errors import Code, ConfigError, DeliveryError, InputError
from operators.instance import read_instance


def send(config: Config, folder: Path, ae: str) -> None:
    """Send every DICOM file under ``folder`` to the AE called ``ae`` in ``aes:``, or to our own listener.

    Raises
    ------
    ConfigError
        CONFIG-INVALID: there is no such AE.
    InputError
        INPUT-EMPTY: the folder holds no DICOM file.
    DeliveryError
        DELIVERY-FAILED: not every file was accepted; says how many, and why the first was not.
    """
    target, calling = _target(config, ae)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_dicom(path)]
    if not files:
        raise InputError(Code.INPUT_EMPTY, f"{folder} holds no DICOM file; give a folder of images")
    answers = send_files(files, target, calling, config.delivery.timeout.total_seconds())
    refused = [answer for answer in answers if answer.verdict is not Verdict.SENT]
    Console().print(f"{len(answers) - len(refused)} of {len(answers)} files accepted by {target.title}")
    if refused:
        raise DeliveryError(Code.DELIVERY_FAILED, _first(refused))


def _target(config: Config, ae: str) -> tuple[AE, str]:
    """Return where to send, and the calling AE title that is expected there."""
    listener = config.listener
    if ae in config.aes:
        return config.aes[ae], listener.ae_title
    if ae == listener.ae_title:
        host = "127.0.0.1" if listener.host in ("0.0.0.0", "") else listener.host  # noqa: S104 - only compared
        return AE(title=listener.ae_title, host=host, port=listener.port), listener.calling_aes[0]
    known = ", ".join([*config.aes, listener.ae_title])
    raise ConfigError(Code.CONFIG_INVALID, f"there is no AE {ae!r}; the configuration knows: {known}")


def _is_dicom(path: Path) -> bool:
    try:
        read_instance(path)
    except InputError as error:
        return error.code is not Code.FILE_NOT_DICOM
    return True


def _first(refused: list[Answer]) -> str:
    return f"{len(refused)} files were not accepted; {refused[0].path.name}: {refused[0].reason}"
