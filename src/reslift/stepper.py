"""One optimisation step, eager or replayed as a CUDA graph, and the average of the weights."""

from __future__ import annotations

import contextlib
import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from reslift.adversary import Adversary, check_adversaries
from reslift.backends.base import ran_out_of_memory
from reslift.datasets.patches import PatchBank
from reslift.errors import DeviceError, RecipeError
from reslift.models import SRModel
from reslift.models.variational import Learner, Variational
from reslift.objective import Objective
from reslift.optimisers import make_optimiser
from reslift.recipe import Phase, Recipe
from reslift.symmetry import Symmetry
from reslift.teacher import PLACES, Teachers

GRAPH_WARMUP = 4


def rate_at(phase: Phase, step: int) -> float:
    """Learning rate at ``step`` of a phase: warm-up, then constant or half a cosine."""
    if step < phase.warmup:
        return phase.rate * (step + 1) / phase.warmup
    if phase.final_rate is None:
        return phase.rate
    share = (step - phase.warmup) / max(1, phase.steps - phase.warmup)
    return phase.final_rate + (phase.rate - phase.final_rate) * (1 + math.cos(math.pi * share)) / 2


def kl_at(phase: Phase, step: int) -> float:
    """Weight of the KL term at ``step`` of a phase: rising to ``kl`` over ``kl_warmup`` steps."""
    return phase.kl * min(1.0, (step + 1) / max(1, phase.kl_warmup))


def noise_seeds(seed: int, step: int, batch: int) -> Tensor:
    """Seeds of the noise that step ``step`` draws, (batch,) int64 on the CPU."""
    return torch.arange(batch) + (seed * 1_000_003 + step) * PLACES


def check_kl(model: SRModel, phases: tuple[Phase, ...]) -> None:
    """Nothing, where the phases weigh the KL term of a variational model and of no other.

    Raises:
        RecipeError: one does not.
    """
    for number, phase in enumerate(phases):
        if model.is_variational and not phase.kl:
            raise RecipeError(
                f"phases.{number}.kl is 0, and the latent of a variational model would pass HR on "
                f"without a price: set it, for l1 to 1e-4 or so"
            )
        if phase.kl and not model.is_variational:
            raise RecipeError(
                f"phases.{number}.kl is {phase.kl:g}, and this model has no latent distribution: "
                f"leave it out, or use the strategy vae of the hourglass"
            )


def ema_share(decay: float, step: int) -> float:
    """Weight of the newest parameters in the average; larger at first, so that short runs count."""
    return 1 - min(decay, (1 + step) / (10 + step))


class Stepper:
    """Model, optimiser and EMA, advanced one step at a time.

    Args:
        model: on its device; trained in place.
        bank: where patches come from.
        recipe: losses, rates, clipping, EMA, graph.
        precision: ``fp32`` or ``bf16`` (autocast).
        share: ``(rank, world)`` under data-parallel training: which part of each batch is ours.
        objective: what ``Objective(recipe)`` gives, where it was made before.

    Attributes:
        adversary: what the model is trained against; None outside an adversarial phase.
        average: the EMA model, in evaluation mode; what is validated and deployed.
        loss: of the last step, on the device.
    """

    def __init__(
        self,
        model: SRModel,
        bank: PatchBank,
        recipe: Recipe,
        precision: str,
        share: tuple[int, int] = (0, 1),
        objective: Objective | None = None,
    ) -> None:
        self.objective = objective or Objective(recipe, bank.device)
        self.teachers = Teachers(recipe, model.channels, bank.device)
        check_adversaries(recipe)
        check_kl(model, recipe.phases)
        self.model, self.bank, self.recipe = model, bank, recipe
        self.device, self.precision, self.share = bank.device, precision, share
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.weights: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self._average_weights: list[Tensor] = list(self.average.parameters())
        cuda = self.device.type == "cuda"
        order = recipe.model.symmetry
        self.symmetry = Symmetry(model, order) if order > 1 else None
        self._graphed = recipe.engine.graph and cuda and share[1] == 1
        self._rate = torch.zeros((), device=self.device)
        self._ema = torch.zeros((), device=self.device)
        self._kl_weight = torch.zeros((), device=self.device)
        self.loss = torch.zeros((), device=self.device)
        self._kl = torch.zeros(2, device=self.device)
        self.optimiser = make_optimiser(model, recipe.optimiser)
        if cuda:
            self.optimiser.set_rate(self._rate)
        self.network = self._wrap(model)
        self.adversary: Adversary | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._graph_phase: Phase | None = None
        self._eager_steps = 0
        self._picks = torch.empty(0)

    def _wrap(self, model: SRModel) -> nn.Module:
        network: nn.Module = model
        if isinstance(model, Variational) and model.is_variational:
            network = Learner(model)
        if self.share[1] > 1:
            network = nn.parallel.DistributedDataParallel(network)
        if self.recipe.engine.compile:
            network = torch.compile(network)  # type: ignore[assignment]
        return network

    def phase_at(self, step: int) -> tuple[Phase, int]:
        """The phase that a step belongs to, and its number within it."""
        for phase in self.recipe.phases:
            if step < phase.steps:
                return phase, step
            step -= phase.steps
        raise RecipeError("the recipe has no such step")

    def begin(self, phase: Phase, start: float, bicubic: float) -> None:
        """Enter a phase, with held-out PSNR-Y of the average and of bicubic, dB."""
        part = phase.adversary
        self.adversary = None
        if part is not None:
            channels, seed = self.model.channels, self.recipe.seed
            self.adversary = Adversary(part, channels, seed, self.device, start, bicubic)

    def step(self, step: int) -> Tensor:
        """Do one step; gives the loss, a number on the device that the next step overwrites.

        Raises:
            DeviceError: out of memory.
        """
        phase, inner = self.phase_at(step)
        try:
            return self._step(step, phase, inner)
        except (RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error):
                raise
            raise DeviceError(
                f"not enough memory for a step with {phase.batch:,} patches of {phase.patch} LR "
                f"pixels: lower phases.batch or phases.patch"
            ) from error

    def _step(self, step: int, phase: Phase, inner: int) -> Tensor:
        rank, world = self.share
        seeds = noise_seeds(self.recipe.seed, step, phase.batch)
        picks = self.bank.picks(step, phase.batch, phase.patch, phase.blended)
        picks = torch.column_stack([picks, seeds])[rank::world]
        self._kl_weight.fill_(kl_at(phase, inner))
        self._set_rates(rate_at(phase, inner), ema_share(self.recipe.optimiser.ema, step))
        if phase.adversary is not None:
            self._graph = self._graph_phase = None  # a rollback would pull the state from under it
            self._advance_against(phase, picks.to(self.device))
            return self.loss
        if not self._graphed:
            self._advance(phase, picks.to(self.device))
            return self.loss
        if phase != self._graph_phase:
            self._graph, self._graph_phase, self._eager_steps = None, phase, 0
            self._picks = picks.to(self.device)
        self._picks.copy_(picks)
        if self._graph is not None:
            self._graph.replay()
        elif self._eager_steps < GRAPH_WARMUP:
            self._eager_steps += 1
            self._on_side_stream(phase)
        else:
            self._capture(phase)
        return self.loss

    def _set_rates(self, rate: float, share: float) -> None:
        self._ema.fill_(share)
        if self.device.type == "cuda":
            self._rate.fill_(rate)
        else:
            self.optimiser.set_rate(rate)

    def _on_side_stream(self, phase: Phase) -> None:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._advance(phase, self._picks)
        torch.cuda.current_stream().wait_stream(stream)

    def _capture(self, phase: Phase) -> None:
        torch.cuda.synchronize()
        self.optimiser.zero_grad()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._advance(phase, self._picks)
        self._graph.replay()

    def _advance(self, phase: Phase, picks: Tensor) -> None:
        lr, hr = self.bank.gather(picks, phase.patch)
        self.optimiser.zero_grad()
        sr, price = self._answer(lr, hr, picks[:, -1])
        loss = self.objective(phase, sr.float(), self._goal(phase, lr, hr, picks[:, -1]))
        self._update(loss + price)
        self.loss.copy_(loss.detach())

    def _advance_against(self, phase: Phase, picks: Tensor) -> None:
        """A step of the model and one of its adversary, from the same SR; or a rollback of both."""
        adversary = self.adversary
        assert adversary is not None
        lr, hr = self.bank.gather(picks, phase.patch)
        self.optimiser.zero_grad()
        with torch.set_grad_enabled(not adversary.warming):
            sr, price = self._answer(lr, hr, picks[:, -1])
            sr = sr.float()
            loss = self.objective(phase, sr, self._goal(phase, lr, hr, picks[:, -1]))
        attack, defence = adversary.losses(sr, hr)
        if not adversary.accepts(loss, attack, defence):
            if (kept := adversary.roll_back()) is not None:
                self._restore_weights(kept)
            self.loss.fill_(adversary.guard.mean)
            return
        adversary.keep(self._weights_state)
        if not adversary.warming:
            self._update(loss + price + adversary.balance.weight * attack)
        adversary.learn(defence)
        self.loss.copy_(loss.detach())

    def _update(self, total: Tensor) -> None:
        """One step of the optimiser and of the average."""
        (total + self._penalty()).backward()  # type: ignore[no-untyped-call]
        if self.symmetry:
            self.symmetry.share_gradients(self.model)
        if self.recipe.optimiser.clip:
            nn.utils.clip_grad_norm_(self.weights, self.recipe.optimiser.clip)
        self.optimiser.step()
        with torch.no_grad():
            gap = torch._foreach_sub(self.weights, self._average_weights)
            torch._foreach_mul_(gap, self._ema)
            torch._foreach_add_(self._average_weights, gap)

    def _answer(self, lr: Tensor, hr: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor | float]:
        """The model's SR and the weighted KL term, which is 0 where it is not variational."""
        with self.arithmetic():
            if not self.model.is_variational:
                return self.network(lr), 0.0
            sr, kl = self.network(lr, hr, seeds)
        self._kl += torch.stack([kl.detach(), torch.ones_like(kl)])
        return sr, self._kl_weight * kl

    def _goal(self, phase: Phase, lr: Tensor, hr: Tensor, seeds: Tensor) -> Tensor:
        """What SR is compared with."""
        with self.arithmetic():
            return self.teachers.mixed(phase, lr, hr, seeds)

    def take_kl(self) -> dict[str, float]:
        """Mean KL since it was last taken, nats per latent number; {} where there is none."""
        total, count = self._kl.tolist()
        self._kl.zero_()
        return {"kl": total / count} if count else {}

    def _penalty(self) -> Tensor | float:
        """λ Σ|w|; part of what is minimised, not of the loss that is shown."""
        rate = self.recipe.optimiser.l1_penalty
        if not rate:
            return 0.0
        return rate * torch.stack([w.abs().sum() for w in self.weights if w.ndim > 1]).sum()

    def arithmetic(self) -> contextlib.AbstractContextManager[Any]:
        """Autocast to bf16, or nothing in fp32."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as plain tensors, numbers and dicts."""
        state = {**self._weights_state(), "kl": self._kl}
        if self.adversary is not None:
            phases = [phase.adversary for phase in self.recipe.phases]
            number = next(n for n, part in enumerate(phases) if part is self.adversary.part)
            state["adversary"] = {"phase": number, **self.adversary.state()}
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what ``state`` gave."""
        self._restore_weights(state)
        self._kl.copy_(state.get("kl", torch.zeros(2)))
        if "adversary" in state:
            saved = state["adversary"]
            self.begin(self.recipe.phases[saved["phase"]], 0.0, 0.0)
            assert self.adversary is not None
            self.adversary.restore(saved)

    def _weights_state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def _restore_weights(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.device.type == "cuda":
            self.optimiser.set_rate(self._rate)
