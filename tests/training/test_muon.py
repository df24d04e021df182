import pytest
import torch

from semilla.training import muon
from semilla.training.muon import Muon, orthogonalize

SHAPES = [(96, 48), (48, 96), (48, 48), (48, 48)]


@pytest.fixture
def matrices() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def step(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter], times: int) -> None:
    for number in range(times):
        generator = torch.Generator().manual_seed(number)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.bfloat16, 1e-6), (torch.float32, 5e-4)],
    ids=["exactly in bfloat16", "nearly in float32"],
)
def test_steps_equal_those_of_torch(
    matrices: list[torch.Tensor], dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With torch's polynomial, applied five times."""
    monkeypatch.setattr(muon, "POLYNOMIALS", 5 * [(3.4445, -4.7750, 2.0315)])
    ours = [torch.nn.Parameter(matrix.clone()) for matrix in matrices]
    theirs = [torch.nn.Parameter(matrix.clone()) for matrix in matrices]
    settings = {"lr": 0.01, "weight_decay": 0.1, "momentum": 0.95}
    step(Muon([{"params": ours}], compute_dtype=dtype, **settings), ours, times=3)
    step(torch.optim.Muon(theirs, adjust_lr_fn="match_rms_adamw", **settings), theirs, times=3)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=0)


def test_the_singular_values_of_tall_and_wide_matrices_come_near_one(matrices: list[torch.Tensor]) -> None:
    """For a random matrix, and for one whose singular values span a factor of a thousand."""
    for matrix in matrices[:2]:
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        stretched = left @ torch.diag(torch.logspace(-3, 0, len(right))) @ right
        for before, least in [(matrix, 0.15), (stretched, 0.008)]:
            (result,) = orthogonalize([before], dtype=torch.float32)
            values = torch.linalg.svdvals(result)
            assert least < values.min() <= values.max() < 2


def test_a_matrix_of_zeros_stays_zero() -> None:
    zeros = torch.zeros(4, 8)
    assert torch.equal(orthogonalize([zeros], dtype=torch.float32)[0], zeros)


def test_a_matrix_without_a_gradient_is_left_alone(matrices: list[torch.Tensor]) -> None:
    parameter = torch.nn.Parameter(matrices[0].clone())
    Muon(
        [{"params": [parameter]}], lr=0.1, weight_decay=0.1, momentum=0.95, compute_dtype=torch.float32
    ).step()
    assert torch.equal(parameter, matrices[0])
