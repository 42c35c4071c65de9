"""`make demo`: real images go out over DICOM, and what comes back is checked, drawn and tabled."""

import argparse
import dataclasses
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.demo import answers, report
from app.demo.answers import Answer, Question
from app.demo.archive import Archive, ArchiveError
from app.demo.service import AE_TITLE, Service, ServiceError, free_port, site
from app.demo.story import Story
from app.demo.studies import DemoStudy, write_studies

ARCHIVE_AE = "DEMO-PACS"
START_SECONDS = 60
ANSWER_SECONDS = 20 * 60
POLL_SECONDS = 1.0
LOG_COLUMNS = 120
"""Width of what goes into a file or a CI log, where no terminal tells its own."""
PARTS = ("studies", "received", "overlays", "site.yaml", "service.log", "report.json")


def demonstrate(output: Path, console: Console) -> bool:
    """Run the demonstration into ``output`` and return whether every answer is there and valid.

    Raises
    ------
    ServiceError
        The service ended, or did not answer in time.
    ArchiveError
        The service did not take an image.
    FileNotFoundError
        A package that carries an image is not installed.
    """
    _clear(output)
    studies = write_studies(output / "studies", datetime.now().astimezone())
    asked = answers.questions(studies)
    archive = Archive(output / "received", ARCHIVE_AE)
    try:
        story, seconds = _exchange(studies, archive, output, console)
    finally:
        archive.stop()
    given = _judge(asked, archive.received, story, output)
    report.write(given, seconds, output)
    console.print(report.table(given))
    for reason in (reason for study in studies for reason in story.reasons(study.study_instance_uid)):
        console.print(f"[red]the service says:[/] {escape(reason)}")
    for problem in (problem for answer in given for problem in answer.problems):
        console.print(f"[red]not as it should be:[/] {escape(problem)}")
    console.print(
        f"{len(archive.received)} objects were back {seconds:.0f} s after the first image was sent."
    )
    for what, name in (("pictures", "overlays"), ("objects", "received"), ("report", "report.json")):
        console.print(f"{what}: {escape(str(output / name))}", soft_wrap=True)
    console.print("[bold]Research use only, not for diagnosis.[/]")
    return not any(answer.problems for answer in given)


def _clear(output: Path) -> None:
    """Remove what an earlier demonstration left, and nothing else."""
    output.mkdir(parents=True, exist_ok=True)
    for part in (output / name for name in PARTS):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def _exchange(
    studies: Sequence[DemoStudy], archive: Archive, output: Path, console: Console
) -> tuple[Story, float]:
    """Send the studies to a service of our own and wait for it; return what it says and the seconds."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with tempfile.TemporaryDirectory(prefix="textseg-demo-") as state:
        port, config = free_port(), output / "site.yaml"
        settings = site(Path(state), port, ARCHIVE_AE, archive.start())
        config.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
        service = Service(config, output / "service.log")
        with service, Progress(*columns, console=console) as progress:
            _await_listener(service, archive, port, progress)
            begin = time.monotonic()
            for study in studies:
                task = progress.add_task(f"sending {study.title} by C-STORE", total=1)
                archive.send(study.files, port, AE_TITLE)
                progress.update(
                    task, description=f"sent {study.title}: {len(study.files)} images", completed=1
                )
            return _await_answers(service, archive, studies, progress), time.monotonic() - begin


def _await_listener(service: Service, archive: Archive, port: int, progress: Progress) -> None:
    task = progress.add_task("starting the service (textseg serve)", total=1)
    end = time.monotonic() + START_SECONDS
    while not archive.echo(port, AE_TITLE):
        service.require_alive()
        if time.monotonic() > end:
            raise ServiceError(f"the listener answers no C-ECHO; its last words:\n{service.tail()}")
        time.sleep(POLL_SECONDS / 4)
    progress.update(task, description=f"the service answers C-ECHO on port {port}", completed=1)


def _await_answers(
    service: Service, archive: Archive, studies: Sequence[DemoStudy], progress: Progress
) -> Story:
    """Wait until the service has nothing left to do for any study; return what it says then."""
    titles = {study.study_instance_uid: study.title for study in studies}
    tasks = {uid: progress.add_task(title, total=1) for uid, title in titles.items()}
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        service.require_alive()
        story = Story(service.status())
        for uid, task in tasks.items():
            done = int(story.finished(uid))
            progress.update(task, description=f"{titles[uid]}: {story.state(uid)}", completed=done)
        if all(story.finished(uid) for uid in titles):
            return story
        if time.monotonic() > end:
            raise ServiceError(f"no answer in time; the service's last words:\n{service.tail()}")
        with archive.arrived:
            archive.arrived.wait(POLL_SECONDS)


def _judge(asked: Sequence[Question], received: Sequence[Path], story: Story, output: Path) -> list[Answer]:
    """Judge and draw the answer to every question."""
    (output / "overlays").mkdir()
    given = []
    for question in asked:
        files = [path for path in received if answers.belongs(path, question)]
        told = story.told(question.study.study_instance_uid, question.task)
        answer = answers.judge(question, files, told)
        if answer.files:
            picture = output / "overlays" / f"{question.task}.png"
            answers.draw(answer, picture)
            answer = dataclasses.replace(answer, picture=picture)
        given.append(answer)
    return given


def main() -> int:
    """Run the demonstration from the command line; exit code 0 only when all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for everything it makes")
    options = parser.parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=LOG_COLUMNS)
    try:
        return 0 if demonstrate(options.output.resolve(), console) else 1
    except (ServiceError, ArchiveError, FileNotFoundError) as error:
        console.print(f"[red]The demonstration failed:[/] {escape(str(error))}", soft_wrap=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
