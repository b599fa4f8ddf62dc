"""Names beside points of a scatter, as many as there is room for."""

from matplotlib.patheffects import withStroke

from headatlas.plotting import style

_WHERE = (  # points to the right of and above the point, and how the name is aligned there
    ((2, 2), "left", "bottom"),
    ((-2, 2), "right", "bottom"),
    ((2, -2), "left", "top"),
    ((-2, -2), "right", "top"),
)


def name_points(axes, points, names, most, taken=()):
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
        text = axes.annotate(name, point, (0, 0), textcoords="offset points", fontsize=style.SMALL, zorder=5)
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
