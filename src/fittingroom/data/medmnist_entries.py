"""MedMNIST's 2-D sets in the form of the catalogue.

The rows are those of the table that its authors publish with their loader (version 3, 28 pixels): the addresses,
checksums, names of classes, numbers of images and licences. ChestMNIST is left out: an image of it has several labels.
We have not seen these files.
"""

from __future__ import annotations

from types import MappingProxyType

from fittingroom.data.catalogue_entries import CatalogueEntry, DatasetInfo


def _medmnist(
    title: str, checksum: str, sizes: tuple[int, int, int], classes: str, *, colour: bool = False, **other: str
) -> CatalogueEntry:
    """One of MedMNIST's sets of 28x28 images.

    Args:
        title: its name; in small letters it is ours.
        checksum: the MD5 of its file.
        sizes: numbers of training, validation and test images.
        classes: their names, with a semicolon between two.
        colour: whether its images are RGB.
        other: `licence`, where it is not CC BY 4.0; `shared_family`, where several are of the same source.
    """
    name = title.lower()
    return CatalogueEntry(
        name=name,
        info=DatasetInfo(
            title=title,
            licence=other.get("licence", "CC BY 4.0"),
            homepage="https://medmnist.com/",
            citation="Yang et al.: MedMNIST v2: A large-scale lightweight benchmark for 2D and 3D biomedical image "
            "classification, Scientific Data 10, 41, 2023, arXiv:2110.14795; and the paper of its source, which the "
            "homepage names",
            checksums=MappingProxyType({f"{name}.npz": checksum}),
            creators=(
                "Jiancheng Yang",
                "Rui Shi",
                "Donglai Wei",
                "Zequan Liu",
                "Lin Zhao",
                "Bilian Ke",
                "Hanspeter Pfister",
                "Bingbing Ni",
            ),
            published="2023-01-19",
        ),
        classes=tuple(classes.split("; ")),
        image_shape=(28, 28, 3) if colour else (28, 28),
        sizes=sizes,
        form="npz",
        shared_family=other.get("shared_family"),
        mirrors=("https://zenodo.org/records/10519652/files/",),
    )


_ORGANS = (
    "bladder; femur-left; femur-right; heart; kidney-left; kidney-right; liver; lung-left; lung-right; pancreas; spleen"
)

MEDMNIST = (
    _medmnist(
        "PathMNIST",
        "a8b06965200029087d5bd730944a56c1",
        (89_996, 10_004, 7_180),
        "adipose; background; debris; lymphocytes; mucus; smooth muscle; normal colon mucosa; "
        "cancer-associated stroma; colorectal adenocarcinoma epithelium",
        colour=True,
    ),
    _medmnist(
        "DermaMNIST",
        "0744692d530f8e62ec473284d019b0c7",
        (7_007, 1_003, 2_005),
        "actinic keratoses and intraepithelial carcinoma; basal cell carcinoma; benign keratosis-like lesions; "
        "dermatofibroma; melanoma; melanocytic nevi; vascular lesions",
        colour=True,
        licence="CC BY-NC 4.0",
    ),
    _medmnist(
        "OCTMNIST",
        "c68d92d5b585d8d81f7112f81e2d0842",
        (97_477, 10_832, 1_000),
        "choroidal neovascularization; diabetic macular edema; drusen; normal",
    ),
    _medmnist("PneumoniaMNIST", "28209eda62fecd6e6a2d98b1501bb15f", (4_708, 524, 624), "normal; pneumonia"),
    _medmnist(
        "RetinaMNIST",
        "bd4c0672f1bba3e3a89f0e4e876791e4",
        (1_080, 120, 400),
        "grade 0; grade 1; grade 2; grade 3; grade 4",
        colour=True,
    ),
    _medmnist("BreastMNIST", "750601b1f35ba3300ea97c75c52ff8f6", (546, 78, 156), "malignant; normal or benign"),
    _medmnist(
        "BloodMNIST",
        "7053d0359d879ad8a5505303e11de1dc",
        (11_959, 1_712, 3_421),
        "basophil; eosinophil; erythroblast; immature granulocyte; lymphocyte; monocyte; neutrophil; platelet",
        colour=True,
    ),
    _medmnist(
        "TissueMNIST",
        "ebe78ee8b05294063de985d821c1c34b",
        (165_466, 23_640, 47_280),
        "collecting duct or connecting tubule; distal convoluted tubule; glomerular endothelial cells; "
        "interstitial endothelial cells; leukocytes; podocytes; proximal tubule segments; thick ascending limb",
    ),
    _medmnist(
        "OrganAMNIST", "68e3f8846a6bd62f0c9bf841c0d9eacc", (34_561, 6_491, 17_778), _ORGANS, shared_family="organmnist"
    ),
    _medmnist(
        "OrganCMNIST", "b9ceb9546e10131b32923c5bbeaea2b1", (12_975, 2_392, 8_216), _ORGANS, shared_family="organmnist"
    ),
    _medmnist(
        "OrganSMNIST", "9ab87b696fb54e2a387ebe992d6ed5f1", (13_932, 2_452, 8_827), _ORGANS, shared_family="organmnist"
    ),
)
