"""The processor, as `/proc/cpuinfo` describes it."""

import platform

import pytest

from advnets.base.cpu import described, processor

X86 = "processor\t: 0\nmodel name\t: AMD EPYC\ncpu family\t: 25\nmodel\t\t: {}\nflags\t\t: fpu {}\n"


@pytest.mark.parametrize(
    ("model", "flags", "bfloat16"),
    [(1, "avx2", False), (17, "avx2 avx512f avx512_bf16", True), (173, "amx_bf16", True)],
)
def test_processors_of_one_name_differ_by_family_and_model(model, flags, bfloat16):
    found = described(X86.format(model, flags) * 2)
    assert found.name == f"AMD EPYC, family 25 model {model}"
    assert found.flags == {"fpu", *flags.split()}
    assert found.bfloat16 is bfloat16


def test_other_systems_have_their_own_words():
    arm = described("Features\t: fp asimd bf16\nCPU implementer\t: 0x41\n")
    assert arm.name == platform.machine() and arm.bfloat16
    assert described("") == (platform.machine(), frozenset())
    assert processor().name
