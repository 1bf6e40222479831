"""What the command line does with encoders: ``alod encode``."""

from pathlib import Path
from typing import Annotated

import typer

from alod.errors import AlodError, check_name


def encode(
    images: Annotated[Path, typer.Argument(help="Folder of images.")],
    out: Annotated[Path, typer.Option(help="The .npy to write; a .txt of the files comes beside.")],
    encoder: Annotated[
        str, typer.Option(help="efficientnet_lite0, torchvision:NAME, timm:NAME, hf:NAME, …")
    ] = "efficientnet_lite0",
    fit: Annotated[str, typer.Option(help="Photos to squares: crop or pad.")] = "crop",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Describe images by an encoder, once; a command that was cut off goes on."""
    from alod.data.encoded import check_encoder
    from alod.data.files import FITS
    from alod.labeling.described import encode_folder

    if out.suffix != ".npy":
        raise AlodError(f"--out {out}: expected a file that ends in .npy")
    if check_encoder("encoder", encoder) == "none":
        raise AlodError("--encoder none: describes nothing; give one, such as efficientnet_lite0")
    check_name("fit", fit, FITS)
    pool = encode_folder(images.expanduser(), encoder, out, device, fit)
    columns = pool.features.shape[1] if pool.features is not None else 0
    print(f"{out}: {len(pool.files)} images, {columns} columns; {out.with_suffix('.txt')}: files")
