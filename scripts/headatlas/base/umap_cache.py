"""umap-learn, compiled once on a machine instead of in every job."""

import contextlib
import functools

import numpy as np


@functools.cache
def load_umap():
    """The package `umap`, whose slow functions numba compiles once and keeps.

    umap-learn has numba compile them in every process, for ten seconds of a processor. Kept, they are loaded in a
    tenth of one, and are the same instructions; numba keeps them where it does for pynndescent, beside the source or
    else in the user's cache folder, and compiles them anew for another version, source or processor.

    Returns
    -------
    module
    """
    import umap  # here, for it takes seconds to load
    from umap import layouts, umap_

    epoch = layouts._get_optimize_layout_euclidean_single_epoch_fn(parallel=False)
    for function in (umap_.smooth_knn_dist, umap_.compute_membership_strengths, epoch):
        with contextlib.suppress(RuntimeError):  # no folder can be written to: compiled in every process, then
            function.enable_caching()
    return umap


def prepare():
    """Have all of it compiled on this machine: `make` does so after installation, and else the first job that maps."""
    points = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    near = np.ascontiguousarray(np.argsort(((points[:, None] - points) ** 2).sum(-1))[:, :5])
    known = near, np.linalg.norm(points[:, None] - points[near], axis=-1)
    for densities in (False, True):  # preserved from a map's last epochs on, so that one is not enough
        settings = {"n_neighbors": 5, "n_epochs": 10, "random_state": 0, "n_jobs": 1, "densmap": densities}
        load_umap().UMAP(**settings, precomputed_knn=known).fit(points)


if __name__ == "__main__":
    prepare()
