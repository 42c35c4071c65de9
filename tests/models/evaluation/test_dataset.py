import numpy as np
import pytest
from PIL import Image as Pillow

from models.errors import Code, DatasetError
from models.evaluation.dataset import open_dataset, read_image, read_mask
from tests.models.evaluation.folders import dataset, save, square


def test_lists_every_image_once_sorted_by_name_each_its_own_patient(tmp_path):
    found = open_dataset(dataset(tmp_path, ("c", "a", "b.1")))
    assert [item.name for item in found.items] == ["a", "b.1", "c"]
    assert [item.patient for item in found.items] == ["a", "b.1", "c"]
    assert not found.has_prompts
    assert all(item.prompts == () for item in found.items)


def test_reads_prompts_and_patients_of_the_csv_files_with_byte_order_mark(tmp_path):
    dataset(tmp_path, ("a", "b"))
    (tmp_path / "prompts.csv").write_text(
        "name,prompt\nb,the liver\na,a mass\na,a lesion\n", encoding="utf-8-sig"
    )
    (tmp_path / "groups.csv").write_text("name,patient\na,p1\nb,p1\n", encoding="utf-8")
    first, second = open_dataset(tmp_path).items
    assert first.prompts == ("a mass", "a lesion")
    assert second.prompts == ("the liver",)
    assert first.patient == second.patient == "p1"


def test_grey_images_keep_their_values_in_three_channels(tmp_path):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = read_image(save(tmp_path / "grey.png", pixels))
    assert image.dtype == np.uint8
    assert np.array_equal(image, np.repeat(pixels[..., None], 3, axis=2))


def test_colour_images_keep_their_values(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(read_image(save(tmp_path / "rgb.png", pixels)), pixels)


@pytest.mark.parametrize("high", [1, 255])
def test_masks_hold_0_and_255_or_0_and_1(tmp_path, high):
    mask = read_mask(save(tmp_path / "mask.png", square() // 255 * high))
    assert np.array_equal(mask, square() > 0)


def test_an_empty_mask_says_that_the_target_is_absent(tmp_path):
    assert not read_mask(save(tmp_path / "mask.png", np.zeros((4, 5), dtype=np.uint8))).any()


@pytest.mark.parametrize("values", [(0, 127), (1, 255), (0, 254, 255)])
def test_a_mask_with_other_values_is_refused_by_name(tmp_path, values):
    pixels = np.resize(np.array(values, dtype=np.uint8), (6, 6))
    with pytest.raises(DatasetError, match=r"mask\.png.*0 and 255") as error:
        read_mask(save(tmp_path / "mask.png", pixels))
    assert error.value.code is Code.DATASET_INVALID


def test_a_sixteen_bit_image_is_refused_with_what_to_do(tmp_path):
    path = save(tmp_path / "deep.png", np.full((4, 4), 4000, dtype=np.uint16))
    with pytest.raises(DatasetError, match=r"deep\.png.*8 bits") as error:
        read_image(path)
    assert error.value.code is Code.PIXELS_UNDECODABLE


def test_a_truncated_image_is_refused_by_name(tmp_path):
    path = save(tmp_path / "cut.png", np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DatasetError, match=r"cut\.png") as error:
        read_image(path)
    assert error.value.code is Code.PIXELS_UNDECODABLE


def test_a_jpeg_that_calls_itself_png_is_refused(tmp_path):
    path = tmp_path / "photo.png"
    Pillow.fromarray(square()).save(path, format="JPEG")
    with pytest.raises(DatasetError, match=r"photo\.png"):
        read_image(path)


def test_an_unreadable_image_does_not_stop_the_data_set_from_opening(tmp_path):
    dataset(tmp_path, ("a", "b"))
    (tmp_path / "images" / "a.png").write_bytes(b"not a PNG")
    assert [item.name for item in open_dataset(tmp_path).items] == ["a", "b"]


def _no_images(folder):
    for path in (folder / "images").iterdir():
        path.unlink()


def _no_mask(folder):
    (folder / "masks" / "b.png").unlink()


def _small_mask(folder):
    save(folder / "masks" / "b.png", square(side=31))


def _broken_mask(folder):
    (folder / "masks" / "b.png").write_bytes(b"")


def _same_name_twice(folder):
    save(folder / "images" / "b.PNG", square())


def _other_format(folder):
    (folder / "images" / "b.jpg").write_bytes(b"")


def _prompts_without_header(folder):
    (folder / "prompts.csv").write_text("a,the liver\n")


def _prompts_without_one_name(folder):
    (folder / "prompts.csv").write_text("name,prompt\na,x\nc,x\n")


def _groups_with_a_short_row(folder):
    (folder / "groups.csv").write_text("name,patient\na,x\nb\nc,x\n")


def _groups_in_another_encoding(folder):
    (folder / "groups.csv").write_bytes("name,patient\na,Ä\nb,Ä\nc,Ä\n".encode("latin-1"))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_no_images, "images: no images"),
        (_no_mask, r"b\.png: missing"),
        (_small_mask, r"b\.png: is 31 x 31 pixels, its image 32 x 32"),
        (_broken_mask, r"masks/b\.png"),
        (_same_name_twice, r"b\.PNG and b\.png share the name"),
        (_other_format, r"b\.jpg: only PNG"),
        (_prompts_without_header, r"prompts\.csv: the first line"),
        (_prompts_without_one_name, r"prompts\.csv: no row for the image b"),
        (_groups_with_a_short_row, r"groups\.csv:3: too few"),
        (_groups_in_another_encoding, r"groups\.csv: cannot be read"),
    ],
)
def test_a_data_set_off_its_layout_is_refused_and_the_file_named(tmp_path, spoil, named):
    dataset(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DatasetError, match=named):
        open_dataset(tmp_path)


def test_hidden_files_and_further_masks_are_left_alone(tmp_path):
    dataset(tmp_path)
    (tmp_path / "images" / ".DS_Store").write_bytes(b"")
    save(tmp_path / "masks" / "z.png", square())
    assert len(open_dataset(tmp_path).items) == 3
