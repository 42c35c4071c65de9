import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw

from models.errors import Code, ConfigError, DatasetError
from models.evaluation.layouts.known import MASKS, open_layout
from models.evaluation.layouts.pictures import busi, chest_masks, covid_qu_ex, figshare_brain, hc18, udiat
from tests.models.evaluation.folders import save

SIZE = (24, 32)


def part(rows, columns, high=255):
    mask = np.zeros(SIZE, np.uint8)
    mask[rows, columns] = high
    return mask


def image(shape=SIZE):
    return np.full((*shape, 3), 90, np.uint8)


TOP, LOW = part(slice(2, 8), slice(2, 8)), part(slice(12, 20), slice(10, 20))


def one(dataset, name):
    return next(item for item in dataset.items if item.name == name)


@pytest.fixture
def busi_folder(tmp_path):
    for kind, number in (("benign", 1), ("benign", 10), ("malignant", 1), ("normal", 1)):
        stem = f"{kind} ({number})"
        save(tmp_path / kind / f"{stem}.png", image())
        save(tmp_path / kind / f"{stem}_mask.png", TOP if kind != "normal" else TOP * 0)
    save(tmp_path / "benign" / "benign (1)_mask_1.png", LOW)
    return tmp_path


def test_busi_merges_all_masks_of_an_image_and_takes_none_of_another(busi_folder):
    found = busi(busi_folder)
    assert [item.name for item in found.items] == ["benign (1)", "benign (10)", "malignant (1)", "normal (1)"]
    assert np.array_equal(one(found, "benign (1)").truth(), (TOP | LOW) > 0)
    assert np.array_equal(one(found, "benign (10)").truth(), TOP > 0)
    assert not one(found, "normal (1)").truth().any()
    assert [item.subtype for item in found.items] == ["benign", "benign", "malignant", None]
    assert one(found, "benign (1)").pixels().shape == (*SIZE, 3)


def test_udiat_pairs_by_name(tmp_path):
    for name, mask in (("000002", TOP), ("000001", LOW)):
        save(tmp_path / "original" / f"{name}.png", image())
        save(tmp_path / "GT" / f"{name}.png", mask)
    found = udiat(tmp_path)
    assert [item.name for item in found.items] == ["000001", "000002"]
    assert np.array_equal(found.items[0].truth(), LOW > 0)


def test_figshare_brain_takes_subtype_and_patient_from_its_table(tmp_path):
    (tmp_path / "cases.csv").write_text("name,label,patient\n1,1,100360\n2,2,100360\n3,3,MR017260F\n")
    for name in "123":
        save(tmp_path / "images" / f"{name}.png", image())
        save(tmp_path / "masks" / f"{name}.png", TOP // 255)
    found = figshare_brain(tmp_path)
    assert [item.subtype for item in found.items] == ["meningioma", "glioma", "pituitary"]
    assert [item.patient for item in found.items] == ["100360", "100360", "MR017260F"]
    assert np.array_equal(found.items[0].truth(), TOP > 0)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("name,label,patient\n1,4,p\n", "label '4'"),
        ("name,label,patient\n2,1,p\n", "image 1"),
        (None, "missing"),
    ],
)
def test_figshare_brain_refuses_a_table_that_does_not_fit(tmp_path, table, said):
    save(tmp_path / "images" / "1.png", image())
    save(tmp_path / "masks" / "1.png", TOP)
    if table:
        (tmp_path / "cases.csv").write_text(table)
    with pytest.raises(DatasetError, match=said):
        figshare_brain(tmp_path)


def test_covid_qu_ex_keeps_equal_file_names_of_different_classes_apart(tmp_path):
    for kind in ("COVID-19", "Non-COVID", "Normal"):
        save(tmp_path / kind / "images" / "1.png", image())
        save(tmp_path / kind / "lung masks" / "1.png", TOP)
    found = covid_qu_ex(tmp_path)
    assert [(item.name, item.subtype) for item in found.items] == [
        ("COVID-19/1", "covid"),
        ("Non-COVID/1", "lung-opacity"),
        ("Normal/1", "normal"),
    ]


def test_chest_masks_reads_both_spellings_and_leaves_out_images_without_a_mask(tmp_path):
    for name in ("CHNCXR_0001_0", "MCUCXR_0001_0", "CHNCXR_0002_0"):
        save(tmp_path / "CXR_png" / f"{name}.png", image())
    save(tmp_path / "masks" / "CHNCXR_0001_0_mask.png", TOP)
    save(tmp_path / "masks" / "MCUCXR_0001_0.png", LOW)
    found = chest_masks(tmp_path)
    assert [item.name for item in found.items] == ["CHNCXR_0001_0", "MCUCXR_0001_0"]
    assert np.array_equal(found.items[1].truth(), LOW > 0)


def outline(box, size=(120, 90), width=2):
    drawing = Pillow.new("L", size)
    ImageDraw.Draw(drawing).ellipse(box, outline=255, width=width)
    return np.asarray(drawing)


def disc(box, size=(120, 90)):
    drawing = Pillow.new("L", size)
    ImageDraw.Draw(drawing).ellipse(box, fill=255)
    return np.asarray(drawing) > 0


def overlap(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_hc18_fills_the_ellipse_and_knows_one_pregnancy_by_its_number(tmp_path):
    for name in ("012_HC", "012_2HC", "013_HC"):
        save(tmp_path / f"{name}.png", image((90, 120)))
        save(tmp_path / f"{name}_Annotation.png", outline((20, 15, 100, 70)))
    found = hc18(tmp_path)
    assert [item.name for item in found.items] == ["012_2HC", "012_HC", "013_HC"]
    assert [item.patient for item in found.items] == ["012", "012", "013"]
    assert overlap(found.items[0].truth(), disc((20, 15, 100, 70))) > 0.99


def test_hc18_fills_a_head_that_the_border_cuts(tmp_path):
    box = (-30, 10, 80, 75)
    save(tmp_path / "001_HC.png", image((90, 120)))
    save(tmp_path / "001_HC_Annotation.png", outline(box))
    (found,) = hc18(tmp_path).items
    assert overlap(found.truth(), disc(box)) > 0.97


def test_hc18_refuses_a_drawing_that_is_no_ellipse(tmp_path):
    scribble = np.zeros((90, 120), np.uint8)
    scribble[np.arange(40), np.arange(40)] = 255
    scribble[10, 60:110] = 255
    save(tmp_path / "001_HC.png", image((90, 120)))
    save(tmp_path / "001_HC_Annotation.png", scribble)
    with pytest.raises(DatasetError, match="ellipse"):
        hc18(tmp_path).items[0].truth()


@pytest.mark.parametrize("high", [1, 255])
def test_labels_of_0_and_1_and_of_0_and_255_mean_the_same(busi_folder, high):
    save(busi_folder / "benign" / "benign (1)_mask.png", TOP // 255 * high)
    assert np.array_equal(one(busi(busi_folder), "benign (1)").truth(), (TOP | LOW) > 0)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros((10, 10), np.uint8), "is 10 x 10 pixels, its image 32 x 24"),
        (part(slice(2, 8), slice(2, 8), high=127), "holds 127"),
    ],
)
def test_a_mask_of_another_size_or_of_grey_levels_is_refused_by_name(busi_folder, mask, said):
    save(busi_folder / "malignant" / "malignant (1)_mask.png", mask)
    with pytest.raises(DatasetError, match=said) as error:
        busi(busi_folder)
    assert error.value.code is Code.DATASET_INVALID
    assert "malignant (1)_mask.png" in str(error.value)


def test_a_missing_mask_is_named(busi_folder):
    (busi_folder / "malignant" / "malignant (1)_mask.png").unlink()
    with pytest.raises(DatasetError, match=r"malignant \(1\)_mask\.png: missing"):
        busi(busi_folder)


def test_two_images_of_one_name_are_refused(tmp_path):
    for suffix in (".png", ".PNG"):
        save(tmp_path / "original" / f"1{suffix}", image())
        save(tmp_path / "GT" / f"1{suffix}", TOP)
    with pytest.raises(DatasetError, match="stands for 2 images"):
        udiat(tmp_path)


@pytest.mark.parametrize("name", [name for name in MASKS if name not in {"textseg", "figshare-brain"}])
def test_an_empty_folder_is_refused_by_every_layout(tmp_path, name):
    with pytest.raises(DatasetError, match="no images of this layout"):
        open_layout(name, tmp_path)


@pytest.mark.parametrize(("name", "said"), [("roco", "captions and no masks"), ("imagenet", "busi")])
def test_an_unknown_layout_is_refused_with_what_there_is(tmp_path, name, said):
    with pytest.raises(ConfigError, match=said):
        open_layout(name, tmp_path)
