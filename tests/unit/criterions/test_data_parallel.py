"""Gradients of two data-parallel workers, with each of fairseq's ways to average them: those of one worker."""

import pytest
import tiny
import torch
from fairseq.distributed import LegacyDistributedDataParallel, ModuleProxyWrapper
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from fairseq_dsl.output_layer import Projected
from fairseq_dsl.terms import Outputs

WRAPPERS = {
    "pytorch_ddp": lambda model: DistributedDataParallel(model),
    "pytorch_ddp that looks for unused parameters": lambda model: DistributedDataParallel(
        model, find_unused_parameters=True
    ),
    "legacy_ddp": lambda model: LegacyDistributedDataParallel(model, distributed.group.WORLD),
}
ARCHITECTURES = [("transformer", "transformer"), ("lstm", "fconv")]
ROWS = [[0, 2, 5, 7], [1, 3, 4, 9]]  # of each worker
UPDATES = 2  # torch treats the first one unlike the others


def made_pair(data, architectures):
    torch.manual_seed(3)
    made = tiny.pair(data, *architectures, tiny.LOG_MARGINALS)
    made.criterion = tiny.criterion(made, dsl_lambda=0.02, label_smoothing=0.1)
    return made


def gradients(made, wrapped, batch):
    """Of one step, by name; and those of the model are left empty."""
    wrapped.zero_grad(set_to_none=True)
    made.criterion(wrapped, batch)[0].backward()
    if isinstance(getattr(wrapped, "module", None), LegacyDistributedDataParallel):
        wrapped.module.all_reduce_grads()  # fairseq's trainer does
    return {name: p.grad.clone() for name, p in made.model.named_parameters() if p.grad is not None}


def work(rank, folder, data):
    distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    found = {}
    for architectures in ARCHITECTURES:
        for name, wrap in WRAPPERS.items():
            made = made_pair(data, architectures)
            wrapped = ModuleProxyWrapper(wrap(made.model))
            found[architectures, name] = [
                gradients(made, wrapped, tiny.batch(made.data, ROWS[(rank + update) % 2])) for update in range(UPDATES)
            ]
    torch.save(found, f"{folder}/gradients.{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def workers(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("workers")
    torch.multiprocessing.spawn(work, (str(folder), data), nprocs=2)
    return [torch.load(folder / f"gradients.{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("architectures", ARCHITECTURES, ids=" and ".join)
def test_gradients_of_two_workers_average_to_those_of_one(workers, data, architectures, name):
    made = made_pair(data, architectures)
    batches = [tiny.batch(made.data, rows) for rows in ROWS]
    apart = [gradients(made, made.model, batch) for batch in batches]
    for found in workers:
        for update in found[architectures, name]:
            assert update.keys() == apart[0].keys()
            for parameter, gradient in update.items():
                wanted = (apart[0][parameter] + apart[1][parameter]) / 2
                torch.testing.assert_close(gradient, wanted, rtol=1e-5, atol=1e-5, msg=parameter)
    outputs = Outputs(made.model, [(tiny.DE_EN, batches[0])], pad=1)
    assert isinstance(outputs.of(batches[0])[0], Projected)  # it is what this is about
