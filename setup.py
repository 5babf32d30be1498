from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="fairseq_dsl",
    version="0.3.0",
    description="Dual Supervised Learning for fairseq: two translation models, trained together",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["fairseq_dsl", "fairseq_dsl.*"]),
    python_requires=">=3.8",
    install_requires=[
        # fairseq's last release does not import on Python >= 3.11; this build of its main branch does.
        # Its wheels are for Linux on x86-64: the README says what to do elsewhere.
        've-fairseq==0.12.3; python_version >= "3.11"',
        'fairseq==0.12.2; python_version < "3.11"',
        'numpy<1.24; python_version < "3.11"',  # fairseq 0.12.2 uses np.float
        "numpy",
        "torch>=1.13",
        "sacrebleu>=2.0",
        "sentencepiece",
        # fairseq's --tensorboard-logdir wants it, and without it each command begins with "Please install tensorboardX",
        # before it loads a plugin.
        "tensorboardX",
    ],
    extras_require={
        "report": ["matplotlib"],
        "test": ["matplotlib", "pytest", "pytest-timeout"],
    },
)
