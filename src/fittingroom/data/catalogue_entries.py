"""What is known of a dataset by name, and the first ones: what is in them, whose they are, where they come from.

The checksums are MD5, of the packed files. Those of Fashion-MNIST are in its README; those of MNIST and KMNIST are the
ones that torchvision and other loaders agree on. The fingerprints are ours (`values.fingerprint`): they tell
the contents when a file was repacked, as Debian's were. (Debian's files differ from the published ones only in the
gzip header: with name and time put back, all four give the published MD5.) We have not seen MNIST's and KMNIST's files,
so these two are known by their checksums and their counts. EMNIST's checksum is the one of torchvision's
loader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

FOUR_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
"""The names of the MNIST form's four files, without `.gz`: train images and labels, test images and labels."""


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a dataset besides its pixels; `unknown` where it is not known."""

    title: str
    licence: str = "unknown"
    homepage: str = "unknown"
    citation: str = "unknown"
    checksums: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """File name -> MD5, as published."""
    resize_rule: str | None = None
    """How pictures of other sizes were resized; None if none were."""
    creators: tuple[str, ...] = ()
    published: str = "unknown"
    """When, as year or date of ISO 8601."""
    about: str = ""
    """What the images show and how they came about, in sentences; empty where the title says it."""


@dataclass(frozen=True)
class CatalogueEntry:
    """One dataset of the catalogue.

    `mirrors` are addresses of folders that hold its files, best first; the files are those with a checksum in `info`.
    `form` says what they are: four IDX files, one NPZ file, or EMNIST's archive of IDX files. `train_counts` and
    `test_counts` are per class; they are empty where nobody published them, and `sizes` then has the numbers of
    training, validation and test images. `train_fingerprint` and `test_fingerprint` are None where the contents have
    never been seen by us.

    `shared_family` is the same for all datasets whose images come from one source, and None where it is the only one.
    `made_of` names the dataset whose images this one's are made from. A look at such a test part is a look at the
    source's (decision 69). `is_made` is set where our program makes the images or takes them from a file of a Python
    package (`data.made`).
    """

    name: str
    info: DatasetInfo
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    train_counts: tuple[int, ...] = ()
    test_counts: tuple[int, ...] = ()
    sizes: tuple[int, int, int] | None = None
    form: Literal["idx", "npz", "emnist"] = "idx"
    scale: float = 255.0
    mirrors: tuple[str, ...] = ()
    system_folder: Path | None = None
    system_package: str | None = None
    train_fingerprint: str | None = None
    test_fingerprint: str | None = None
    shared_family: str | None = None
    made_of: str | None = None
    is_made: bool = False

    @property
    def family(self) -> str:
        """What it shares with all datasets whose images come from the same source."""
        return self.shared_family or self.name

    @property
    def needs_no_download(self) -> bool:
        """Whether it can be loaded here without the network, perhaps after an extra of ours was installed."""
        if self.system_folder is not None:
            return self.system_folder.is_dir()
        return self.is_made or self.name == DIGITS.name

    @property
    def train_size(self) -> int:
        """The number of images of its training part, with those of a validation part of its own."""
        return sum(self.train_counts) if self.sizes is None else sum(self.sizes[:2])

    @property
    def test_size(self) -> int:
        """The number of its test images."""
        return sum(self.test_counts) if self.sizes is None else self.sizes[2]

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files, as its mirrors have them."""
        return tuple(self.info.checksums)


def _checksums(*each: str) -> Mapping[str, str]:
    """The published MD5 of each packed file, in the order of `FOUR_FILES`."""
    return MappingProxyType({f"{name}.gz": one for name, one in zip(FOUR_FILES, each, strict=True)})


FASHION_MNIST = CatalogueEntry(
    name="fashion-mnist",
    info=DatasetInfo(
        title="Fashion-MNIST",
        licence="MIT",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        citation="Xiao, Rasul, Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
        "Algorithms, 2017, arXiv:1708.07747",
        checksums=_checksums(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        creators=("Han Xiao", "Kashif Rasul", "Roland Vollgraf"),
        published="2017-08-25",
    ),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    image_shape=(28, 28),
    train_counts=(6000,) * 10,
    test_counts=(1000,) * 10,
    mirrors=(
        # The authors' own two places; the first can be reached by https.
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    system_folder=Path("/usr/share/datasets/fashion-mnist"),
    system_package="dataset-fashion-mnist",
    train_fingerprint="279065e79ab125ad3826b3a6508dc296",
    test_fingerprint="331c943131ddbb3b5e9225e0c449b297",
)

MNIST = CatalogueEntry(
    name="mnist",
    info=DatasetInfo(
        title="MNIST",
        licence="CC BY-SA 3.0",
        homepage="http://yann.lecun.com/exdb/mnist/",
        citation="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, "
        "Proceedings of the IEEE 86(11), 1998",
        checksums=_checksums(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        creators=("Yann LeCun", "Corinna Cortes", "Christopher J. C. Burges"),
        published="1998",
    ),
    classes=tuple("0123456789"),
    image_shape=(28, 28),
    train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)

KMNIST = CatalogueEntry(
    name="kmnist",
    info=DatasetInfo(
        title="Kuzushiji-MNIST",
        licence="CC BY-SA 4.0",
        homepage="https://codh.rois.ac.jp/kmnist/",
        citation="KMNIST Dataset (created by CODH), adapted from Kuzushiji Dataset (created by NIJL and others), "
        "doi:10.20676/00000341; Clanuwat et al.: Deep Learning for Classical Japanese Literature, 2018, "
        "arXiv:1812.01718",
        checksums=_checksums(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        creators=(
            "Tarin Clanuwat",
            "Mikel Bober-Irizar",
            "Asanobu Kitamoto",
            "Alex Lamb",
            "Kazuaki Yamamoto",
            "David Ha",
        ),
        published="2018-12-03",
    ),
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    image_shape=(28, 28),
    train_counts=(6000,) * 10,
    test_counts=(1000,) * 10,
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    ),
)

DIGITS = CatalogueEntry(
    name="digits",
    info=DatasetInfo(
        title="Digits (8x8, from scikit-learn)",
        licence="CC BY 4.0",
        homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        citation="Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
        creators=("Ethem Alpaydin", "Cenk Kaynak"),
        published="1998",
    ),
    classes=tuple("0123456789"),
    image_shape=(8, 8),
    train_counts=(142, 145, 142, 146, 145, 146, 145, 143, 139, 144),
    test_counts=(36, 37, 35, 37, 36, 36, 36, 36, 35, 36),
    scale=16.0,
    train_fingerprint="3b65fa56a89d393a59debd0d941f5413",
    test_fingerprint="715a813a096eade457a4a6546c69f473",
)

EMNIST_LETTERS = CatalogueEntry(
    name="emnist-letters",
    info=DatasetInfo(
        title="EMNIST Letters",
        licence="not stated",
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        citation="Cohen, Afshar, Tapson, van Schaik: EMNIST: an extension of MNIST to handwritten letters, 2017, "
        "arXiv:1702.05373",
        checksums=MappingProxyType({"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"}),
        creators=("Gregory Cohen", "Saeed Afshar", "Jonathan Tapson", "André van Schaik"),
        published="2017-02-17",
    ),
    classes=tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    image_shape=(28, 28),
    train_counts=(4800,) * 26,
    test_counts=(800,) * 26,
    form="emnist",
    shared_family="mnist",  # both are from the forms of NIST's Special Database 19
    mirrors=(
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
    ),
)
