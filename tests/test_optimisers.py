"""Muon, and how it trains a kernel's centre."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from reslift.optimisers import Muon, orthogonalise


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 8, 8), (2, 6, 20), (2, 20, 6)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
        assert values.min() > 0.5 and values.max() < 1.3


def test_centre_trains_a_kernel_as_it_would_with_a_1x1_beside_it() -> None:
    torch.manual_seed(0)
    x, wanted = torch.randn(2, 5, 9, 9), torch.randn(2, 5, 9, 9)
    wide, narrow = torch.randn(5, 5, 3, 3), torch.randn(5, 5, 1, 1)
    folded = torch.nn.Parameter(wide + F.pad(narrow, (1, 1, 1, 1)))
    branches = [torch.nn.Parameter(wide.clone()), torch.nn.Parameter(narrow.clone())]
    one, two = Muon([folded], 0.01, 0.0, centre=True), Muon(branches, 0.01, 0.0)
    for _ in range(5):
        for kernel in (folded, branches[0] + F.pad(branches[1], (1, 1, 1, 1))):
            (F.conv2d(x, kernel, padding=1) - wanted).square().mean().backward()
        for optimiser in (one, two):
            optimiser.step()
            optimiser.zero_grad()
    assert torch.allclose(folded, branches[0] + F.pad(branches[1], (1, 1, 1, 1)), atol=1e-5)
    assert not torch.allclose(folded, wide + F.pad(narrow, (1, 1, 1, 1)), atol=1e-2)
