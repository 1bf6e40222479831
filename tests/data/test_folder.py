import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, features

from alod import AlodError, from_arrays, from_folder
from alod.data.files import open_upright, read_square

# More than eight bits


def told_once(call):
    with pytest.warns(UserWarning) as caught:
        made = call()
    assert len(caught) == 1
    return made, str(caught[0].message)


def inner(images):
    """Lowest and highest level, but for one pixel of each small image at either end."""
    ordered = np.sort(images.reshape(len(images), -1))
    return ordered[:, 1].min(), ordered[:, -2].max()


LEVELS = np.random.default_rng(0).integers(200, 3700, (3, 16, 16))
LEVELS[0] //= 2  # no image alone has the range of all
LEVELS[:2, 0, :4] = [[100, 100, 2000, 2000], [1000, 1000, 3700, 3700]]
DEEP = {
    "png": lambda image: Image.fromarray(image.astype(np.uint16)),
    "pgm": lambda image: Image.fromarray((image * 4 + 10).astype(np.uint16)),
    "tif": lambda image: Image.fromarray(image.astype(np.int32)),
    "tiff": lambda image: Image.fromarray((image / 1000 - 2).astype(np.float32)),
}


@pytest.mark.parametrize("kind", [*DEEP, "uint16", "int16"])
def test_few_levels_in_many_bits_fill_the_range_for_all_images_alike(tmp_path, kind):
    for i, image in enumerate(LEVELS):
        if kind in DEEP:
            DEEP[kind](image).save(tmp_path / f"{i}.{kind}")
    data, told = told_once(
        lambda: (
            from_folder(tmp_path, image_size=16)
            if kind in DEEP
            else from_arrays((LEVELS - 900 * (kind == "int16")).astype(kind))
        )
    )

    low, high = inner(LEVELS)
    assert (low, high) == (LEVELS.min(), LEVELS.max())
    expected = (LEVELS - low) * 255 / (high - low)
    # To the nearest level, or that below.
    assert np.abs(data.images[:, 0].numpy() - expected).max() <= 1
    assert "scaled to 0 to 255 for all images" in told


@pytest.mark.parametrize("kind", ["png", "pgm", "tif", "tiff", "uint16"])
def test_a_hot_and_a_dead_pixel_leave_all_others_as_they_are(tmp_path, kind):
    spoiled = LEVELS.copy()
    spoiled[1, 5, 5], spoiled[2, 9, 9] = 16_000, 0
    made = []
    for name, images in (("clean", LEVELS), ("spoiled", spoiled)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images if kind in DEEP else ()):
            DEEP[kind](image).save(tmp_path / name / f"{i}.{kind}")
        data, _ = told_once(
            lambda name=name, images=images: (
                from_folder(tmp_path / name, image_size=16)
                if kind in DEEP
                else from_arrays(images.astype(kind))
            )
        )
        made.append(data.images[:, 0].numpy().astype(int))

    clean, spoiled = made
    assert spoiled[1, 5, 5] == 255 and spoiled[2, 9, 9] == 0
    others = np.ones(clean.shape, bool)
    others[1, 5, 5] = others[2, 9, 9] = False
    assert np.array_equal(spoiled[others], clean[others])


def test_float_images_without_a_number_are_left_out_with_the_reason(tmp_path):
    image = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    Image.fromarray(image).save(tmp_path / "a.tif")
    image[3, 3] = np.nan
    Image.fromarray(image).save(tmp_path / "b.tif")

    data, told = told_once(lambda: from_folder(tmp_path, 16))

    assert "b.tif; 1 × it holds NaN or infinite levels" in told
    expected = np.linspace(0, 255, 256).reshape(16, 16)  # 0 to 1, as they are
    assert np.abs(data.images[0, 0].numpy() - expected).max() <= 0.5001


def test_sixteen_bits_in_use_and_eight_bits_are_as_they_are(tmp_path):
    deep = np.arange(0, 65536, 256, dtype=np.uint16).reshape(1, 16, 16)
    Image.fromarray(deep[0]).save(tmp_path / "a.png")
    eight = (deep[0] // 257).astype(np.uint8)
    Image.fromarray(eight).save(tmp_path / "b.png")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = from_folder(tmp_path, image_size=16).images
        assert np.array_equal(from_arrays(deep).images, images[:1])

    assert np.array_equal(images[:, 0], [eight, eight])


def test_test_images_are_scaled_as_the_pool():
    data, told = told_once(lambda: from_arrays(LEVELS[:1].astype(np.uint16), [0], *DEEP_TEST))

    low, high = inner(LEVELS[:1])
    expected = (LEVELS[1:] - low).clip(0, high - low) * 255 // (high - low)
    assert np.array_equal(data.test_images[:, 0], expected)
    assert f"from {low} to {high}" in told


DEEP_TEST = (LEVELS[1:].astype(np.uint16), [0, 0])


def test_drawn_test_images_do_not_decide_how_the_pool_is_scaled(tmp_path):
    (tmp_path / "a").mkdir()
    for i in range(3):
        image = np.full((16, 16), 100, np.uint16)
        image[0] = 1000 * (i + 1)
        Image.fromarray(image).save(tmp_path / "a" / f"{i}.png")

    told = []
    for seed in range(8):
        data, line = told_once(
            lambda seed=seed: from_folder(tmp_path, 16, test_fraction=0.4, seed=seed)
        )
        told.append("to 3000" in line)
        # The brightest is in the pool, or as bright as the pool's brightest in the test images.
        assert len(data.test_images) == 1 and data.images.amax((1, 2, 3)).max() == 255
        assert told[-1] == (data.test_images.max() < 255).item()
    assert set(told) == {True, False}


def test_black_and_white_as_one_and_zero_is_told(tmp_path):
    images = np.tile(np.eye(8, dtype=np.uint8), (4, 1, 1))
    data, told = told_once(lambda: from_arrays(images))
    assert "above 1 of 255" in told and data.images.max() == 1
    Image.fromarray(images[0]).save(tmp_path / "a.png")
    assert "above 1 of 255" in told_once(lambda: from_folder(tmp_path, 8))[1]


# Folders


def paint(path, color=128, size=(40, 30), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path, **options)


def test_folders_are_classes_in_sorted_order(tmp_path):
    paint(tmp_path / "dog" / "2.png", 20)
    paint(tmp_path / "cat" / "deep" / "er" / "1.JPG", 10, quality=100)
    paint(tmp_path / "loose.bmp", 30)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no image")

    data = from_folder(tmp_path, image_size=16)

    assert data.classes == ("cat", "dog")
    assert data.targets.tolist() == [0, 1, -1]
    assert data.images[:, 0, 8, 8].tolist() == [10, 20, 30]
    assert data.images.shape == (3, 1, 16, 16)
    assert data.test_images.shape == (0, 1, 16, 16)
    assert data.name == tmp_path.name


def test_flat_folder_is_an_unlabeled_pool_without_what_is_hidden(tmp_path):
    paint(tmp_path / "a.png")
    paint(tmp_path / "._a.png")
    paint(tmp_path / ".thumbnails" / "b.png")

    data = from_folder(tmp_path)

    assert data.images.shape == (1, 1, 28, 28)
    assert data.targets.tolist() == [-1]
    assert data.classes == ()


def test_one_colored_image_makes_all_rgb(tmp_path):
    paint(tmp_path / "a.png", (90, 90, 90), mode="RGB")
    paint(tmp_path / "b.png", 70)
    assert from_folder(tmp_path).images.shape == (2, 1, 28, 28)

    paint(tmp_path / "c.png", (10, 20, 30), mode="RGB")
    data = from_folder(tmp_path)

    assert data.images[:, :, 0, 0].tolist() == [[90] * 3, [70] * 3, [10, 20, 30]]


def test_images_are_cropped_to_the_center_and_turned_upright(tmp_path):
    wide = np.zeros((20, 60), np.uint8)
    wide[:10, 20:40] = 200  # the upper half of the central square
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    Image.fromarray(wide).save(tmp_path / "a.png")
    Image.fromarray(wide).save(tmp_path / "b.png", exif=exif)

    upright, turned = from_folder(tmp_path, image_size=10).images[:, 0]

    assert (upright[:4] > 150).all() and (upright[6:] < 50).all()
    assert torch.equal(turned, upright.flip(0))


def test_a_padded_photo_is_there_whole_in_its_shape_on_white(tmp_path):
    for name, size in (("a.jpg", (600, 200)), ("b.png", (4, 12)), ("c.png", (300, 1))):
        paint(tmp_path / name, 90, size)

    wide, tall, line = from_folder(tmp_path, image_size=12, fit="pad").images[:, 0]

    assert (wide[4:8] == 90).all() and (wide[:4] == 255).all() and (wide[8:] == 255).all()
    assert (tall[:, 4:8] == 90).all() and (tall[:, :4] == 255).all() and (tall[:, 8:] == 255).all()
    assert sorted(line[:, 6].unique().tolist()) == [90, 255]  # one row of it


@pytest.mark.parametrize("turned", [1, 6])
def test_a_large_jpeg_is_decoded_in_part_and_looks_as_if_it_were_whole(tmp_path, turned):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turned
    path = tmp_path / "a.jpg"
    coarse.resize((1600, 1200), Image.Resampling.BICUBIC).save(path, quality=90, exif=exif)

    with Image.open(path) as opened:
        whole = ImageOps.fit(ImageOps.exif_transpose(opened), (48, 48))
    seen = read_square(path, 48)[0].astype(int)

    assert min(open_upright(path, draft=96)[0].size) == 150  # an eighth
    assert np.abs(seen - np.asarray(whole)).max() <= 4


@pytest.mark.parametrize("kind", ["tif", "gif", "webp"])
def test_of_several_pages_the_first_is_taken_and_that_is_told(tmp_path, kind):
    pages = [Image.new("RGB", (20, 20), (value,) * 3) for value in (40, 120, 200)]
    pages[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=pages[1:])
    pages[1].save(tmp_path / f"b.{kind}")

    data, told = told_once(lambda: from_folder(tmp_path, 16))

    assert (data.images[:, 0, 8, 8].int() - torch.tensor([40, 120])).abs().max() <= 3  # lossy
    assert told == f"{tmp_path}: took the first page of 1 files that hold several: a.{kind}"


def test_a_format_that_pillow_was_built_without_is_told_with_its_package(tmp_path, monkeypatch):
    paint(tmp_path / "a.png")
    if features.check("jpg_2000"):
        paint(tmp_path / "b.jp2")
    (tmp_path / "c.avif").write_bytes(b"\0\0\0\x18ftypavif" + bytes(200))
    monkeypatch.delattr(Image.core, "jpeg2k_decoder", raising=False)
    monkeypatch.delitem(Image.EXTENSION, ".avif", raising=False)
    monkeypatch.setitem(Image.OPEN, "AVIF", (None, lambda prefix: False))

    _, told = told_once(lambda: from_folder(tmp_path))

    assert "by the package pillow-avif-plugin: save it as PNG" in told
    assert ("by the package imagecodecs: save it as PNG" in told) == features.check("jpg_2000")


def test_fine_stripes_average_out(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    Image.fromarray(stripes).save(tmp_path / "a.png")

    image = from_folder(tmp_path, image_size=8).images.float()

    assert (image - 127.5).abs().max() < 10


def test_sixteen_bits_and_transparency_keep_their_look(tmp_path):
    Image.fromarray(np.full((30, 30), 100 * 257, np.uint16)).save(tmp_path / "a.png")
    paint(tmp_path / "b.png", (0, 0, 0, 0), mode="RGBA")
    paint(tmp_path / "c.png", 60, mode="P")

    data = from_folder(tmp_path)

    assert data.images[:2, 0, 5, 5].tolist() == [100, 255]
    assert len(data.images) == 3


def test_broken_files_are_left_out_and_named_once(tmp_path):
    paint(tmp_path / "a.png")
    for name in ("b.png", "c.jpg", "d.gif", "e.webp"):
        (tmp_path / name).write_bytes(b"broken")
    paint(tmp_path / "f.png", size=(300, 300))
    (tmp_path / "f.png").write_bytes((tmp_path / "f.png").read_bytes()[:-40])

    with pytest.warns(UserWarning) as caught:
        data = from_folder(tmp_path)

    assert len(data.images) == 1
    assert [str(warning.message) for warning in caught] == [
        f"{tmp_path}: left out 5 of 6 image files that cannot be read: b.png, c.jpg, d.gif, ..."
    ]


def test_test_images_are_drawn_from_every_class(tmp_path):
    for label, n in (("a", 10), ("b", 5), ("c", 1)):
        for number in range(n):
            paint(tmp_path / label / f"{number}.png", 10 * number + ord(label))
    paint(tmp_path / "loose.png", 255)

    whole = from_folder(tmp_path)
    first, again, other = (
        from_folder(tmp_path, test_fraction=0.4, seed=seed) for seed in (0, 0, 1)
    )

    assert torch.bincount(first.test_targets).tolist() == [4, 2]
    assert torch.bincount(first.targets[first.targets >= 0]).tolist() == [6, 3, 1]
    assert (first.targets == -1).sum() == 1
    assert torch.equal(first.test_images, again.test_images)
    assert not torch.equal(first.test_images, other.test_images)
    both = torch.cat([first.images, first.test_images])[:, 0, 0, 0]
    assert sorted(both.tolist()) == sorted(whole.images[:, 0, 0, 0].tolist())


def test_linked_folders_are_followed_circles_cut_and_broken_links_told(tmp_path):
    for name in ("ant", "bee"):
        paint(tmp_path / "store" / name / "0.png", ord(name[0]))
    root = tmp_path / "root"
    root.mkdir()
    (root / "ant").symlink_to(tmp_path / "store" / "ant")
    (root / "bee").symlink_to(Path("..", "store", "bee"))
    (tmp_path / "store" / "ant" / "up").symlink_to(root)
    (tmp_path / "store" / "bee" / "itself").symlink_to("itself")
    (root / "above").symlink_to(tmp_path)
    (root / "cat").symlink_to(tmp_path / "gone")
    (root / "bee" / "1.png").symlink_to("gone.png")

    data, told = told_once(lambda: from_folder(root))

    assert data.classes == ("ant", "bee")
    assert data.images[:, 0, 0, 0].tolist() == [ord("a"), ord("b")]
    assert "left out 3 of 5" in told and "cat" in told and "which is not there" in told


def test_what_pillow_reads_counts_whatever_its_suffix(tmp_path):
    kinds = {".jfif": "JPEG", ".jpe": "JPEG", ".JPG_large": "JPEG", "": "PNG", ".heic": "JPEG"}
    kinds |= {".webp": "WEBP", ".tga": "TGA", ".2024": "TIFF"}
    kinds |= {".jp2": "JPEG2000"} if features.check("jpg_2000") else {}
    kinds |= {".avif": "AVIF"} if "AVIF" in Image.SAVE else {}
    for i, (suffix, kind) in enumerate(kinds.items()):
        paint(tmp_path / f"{i}{suffix}", (200, 40, 90), mode="RGB", format=kind)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = from_folder(tmp_path)

    assert data.images.shape == (len(kinds), 3, 28, 28)
    colors = data.images[:, :, 14, 14].int() - torch.tensor([200, 40, 90])
    assert colors.abs().max() < 20  # lossy


def test_what_is_left_out_is_told_with_its_reason(tmp_path):
    paint(tmp_path / "a" / "0.png")
    heic = b"\0\0\0\x18ftypheic" + bytes(200)
    for name in ("1.heic", "2.jpg", "3"):
        (tmp_path / "a" / name).write_bytes(heic)
    (tmp_path / "a" / "scan").write_bytes(bytes(128) + b"DICM" + bytes(9))
    paint(tmp_path / "a" / "raw.png")  # inside, a raw photograph is a TIFF with a thumbnail
    Image.open(tmp_path / "a" / "raw.png").save(tmp_path / "a" / "raw.nef", "TIFF")
    for name in ("notes.txt", "labels.csv", "weights.npy"):
        (tmp_path / name).write_text("no image")
    for system in ("@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found", "#recycle", ".thumbnails"):
        paint(tmp_path / system / "a.png")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini"):
        (tmp_path / name).write_text("")

    data, told = told_once(lambda: from_folder(tmp_path))

    assert data.classes == ("a",) and len(data.images) == 2
    assert "left out 5 of 7 image files that cannot be read" in told
    assert "3 × not read by Pillow but by the package pillow-heif" in told
    assert "package pydicom" in told and "package rawpy" in told
    assert "passed over 3 files that are no images" in told and ".csv" in told


SPLITS = {
    "train val test": (["train", "val", "test"], "test"),
    "Train Test": (["Train", "Test"], "Test"),
    "training validation": (["training", "validation"], "validation"),
    "with what they hold": (["training_set", "test_set"], "test_set"),
}


@pytest.mark.parametrize(("parts", "test"), SPLITS.values(), ids=SPLITS)
def test_split_data_set_is_recognized(tmp_path, parts, test):
    for i, part in enumerate(parts):
        for label in ("cat", "dog"):
            paint(tmp_path / part / label / "0.png", 50 * i + ord(label[0]))

    data, told = told_once(lambda: from_folder(tmp_path))

    tested = [50 * parts.index(test) + ord(label) for label in "cd"]
    assert data.classes == ("cat", "dog")
    assert data.test_images[:, 0, 0, 0].tolist() == tested
    assert data.test_targets.tolist() == [0, 1]
    assert len(data.images) == 2 * (len(parts) - 1)
    assert "parts of one data set" in told
    with pytest.raises(AlodError, match="test images of its own"):
        from_folder(tmp_path, test_fraction=0.5)


@pytest.mark.parametrize("classes", [("bus", "test", "train"), ("control", "test"), ("train",)])
def test_classes_named_like_a_part_are_classes(tmp_path, classes):
    for label in classes:
        paint(tmp_path / label / "deep" / "0.png")

    assert from_folder(tmp_path).classes == classes


def test_split_data_set_without_classes_is_refused_with_the_right_call(tmp_path):
    for part in ("train", "test"):
        paint(tmp_path / part / "0.png")

    with pytest.raises(AlodError, match=r"from_folder.*train.*rename one"):
        from_folder(tmp_path)

    paint(tmp_path / "train" / "cat" / "0.png")
    data, told = told_once(lambda: from_folder(tmp_path))
    assert data.targets.tolist() == [-1, 0] and len(data.test_images) == 0
    assert "1 test images left out that lie in no class folder" in told


def test_one_class_in_two_unicode_forms_is_one(tmp_path):
    paint(tmp_path / unicodedata.normalize("NFD", "Bär") / "0.png")
    paint(tmp_path / unicodedata.normalize("NFC", "Bär") / "1.png")

    assert from_folder(tmp_path).classes == (unicodedata.normalize("NFC", "Bär"),)


REFUSED_FOLDERS = {
    "missing": ("nowhere", {}, "is not there"),
    "a file": ("flat/a.png", {}, "is not there"),
    "no image": ("empty", {}, r"holds no image.*\.png"),
    "all broken": ("broken", {}, "none of its 1 image files"),
    "size 0": ("flat", {"image_size": 0}, "image_size=0"),
    "size no number": ("flat", {"image_size": "28"}, "image_size='28'"),
    "fraction 1": ("flat", {"test_fraction": 1.0}, "test_fraction=1.0"),
    "fraction NaN": ("flat", {"test_fraction": float("nan")}, "test_fraction=nan"),
    "fraction text": ("flat", {"test_fraction": "0.2"}, "test_fraction='0.2'"),
    "no label to test on": ("flat", {"test_fraction": 0.5}, "one folder for each class"),
    "negative seed": ("flat", {"seed": -1}, "seed=-1"),
    "another fit": ("flat", {"fit": "padded"}, "unknown fit 'padded'.*did you mean 'pad'"),
}


@pytest.mark.parametrize(
    ("folder", "options", "reason"), REFUSED_FOLDERS.values(), ids=REFUSED_FOLDERS
)
def test_bad_folders_are_refused_in_one_line(tmp_path, folder, options, reason):
    paint(tmp_path / "flat" / "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"broken")

    with pytest.raises(AlodError, match=reason) as refusal:
        from_folder(tmp_path / folder, **options)

    assert "\n" not in str(refusal.value)
