"""The demonstration's service is the real one, with a site file that the real configuration accepts."""

from datetime import timedelta

import pytest
import yaml

from app.config import load_config
from app.demo.answers import ABSENT_TASK, NOTHING_FOUND, questions
from app.demo.service import ARCHIVE_NAME, Service, ServiceError, free_port, site
from app.demo.studies import write_studies
from tests.app.demo.moments import MOMENT


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(site(tmp_path / "state", 11112, "DEMO-PACS", 4242)))
    return path


def test_the_site_file_is_a_valid_configuration(config, tmp_path):
    loaded = load_config(site=config)

    assert loaded.storage.root == (tmp_path / "state").resolve()
    assert loaded.study.quiet < timedelta(seconds=10)
    assert loaded.aes[ARCHIVE_NAME].port == 4242
    assert loaded.listener.calling_aes == ("DEMO-PACS",)


def test_every_task_of_the_demo_sends_its_results_to_the_archive(config):
    for task in load_config(site=config).tasks:
        assert [destination.ae for destination in task.destinations] == [ARCHIVE_NAME]


def test_every_question_has_one_study_and_one_target_is_absent(tmp_path):
    asked = questions(write_studies(tmp_path / "studies", MOMENT))

    assert {question.study.title for question in asked} == {
        "Chest radiograph",
        "Abdominal CT slice",
        "Head MR volume",
    }
    assert [question.task for question in asked if question.expected == NOTHING_FOUND] == [ABSENT_TASK]


def test_a_service_that_cannot_start_is_an_error_with_its_last_words(config, tmp_path):
    config.write_text("listener: {port: not-a-port}")
    with Service(config, tmp_path / "service.log") as service:
        service._process.wait(60)

        with pytest.raises(ServiceError, match="port"):
            service.require_alive()


def test_a_free_port_can_be_listened_on():
    assert 0 < free_port() < 65536
