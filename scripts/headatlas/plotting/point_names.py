"""Names beside points of a scatter, as many as there is room for."""

from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from headatlas.plotting import style

_WHERE = (  # points to the right of and above the point, and how the name is aligned there
    ((2, 2), "left", "bottom"),
    ((-2, 2), "right", "bottom"),
    ((2, -2), "left", "top"),
    ((-2, -2), "right", "top"),
)


_DOT = 4  # pixels from a point's middle to its edge


def boxes_of(axes, points):
    """Where points stand, for names to keep clear of: boxes on the page, once the figure's layout stands."""
    return [Bbox.from_bounds(x - _DOT, y - _DOT, 2 * _DOT, 2 * _DOT) for x, y in axes.transData.transform(points)]


def name_points(axes, points, names, most, taken=(), **look):
    """Write names beside points, in the order given, each where it is clear of all names before it and of the frame.

    Once the figure's layout stands, for names are placed on the page.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    points : array of shape (name, 2)
    names : sequence of str
    most : int
        How many are written.
    taken : iterable of matplotlib.transforms.Bbox
        Where else none may stand.
    **look
        Of the texts, such as their colour.

    Returns
    -------
    list of int
        Which were written.
    """
    renderer = axes.figure.canvas.get_renderer()
    frame, boxes, written = axes.bbox.padded(2), list(taken), []
    for place, (point, name) in enumerate(zip(points, names, strict=True)):
        if len(written) >= most:
            break
        text = axes.annotate(
            name, point, (0, 0), textcoords="offset points", **({"fontsize": style.SMALL, "zorder": 5} | look)
        )
        for offset, side, height in _WHERE:
            text.set(position=offset, horizontalalignment=side, verticalalignment=height)
            box = text.get_window_extent(renderer).padded(-1)
            if frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1) and not box.count_overlaps(boxes):
                boxes.append(box)
                written.append(place)
                text.set_path_effects([withStroke(linewidth=1.5, foreground="white")])
                break
        else:
            text.remove()
    return written
