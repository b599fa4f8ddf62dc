"""Training curves as TensorBoard event files, for whoever watches a training while it runs."""

import contextlib


@contextlib.contextmanager
def curves(folder):
    """What `training.train` takes as `on_record`, so that its loss and accuracy can be watched.

    Parameters
    ----------
    folder : path-like or None
        Where event files are written (`tensorboard --logdir`), made where it is not there; a training that goes on
        after it was killed adds a file. None: nothing is written.

    Yields
    ------
    callable or None
        Takes a row of the history and writes it within a second or two, to a curve for each split and member.
    """
    if folder is None:
        yield None
        return
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder), flush_secs=1) as writer:

        def write(row):
            for quantity in ("loss", "accuracy"):
                writer.add_scalar(f"{quantity}_{row['split']}/member_{row['member']}", row[quantity], row["step"])

        yield write
