"""Things that a notebook shows: what it shows of itself, W&B's scripts ask for by name."""

from artstore.api.terminal import in_notebook


class Shown:
    """Something with an HTML form, which is small and holds no script."""

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """What a notebook shows of it, as HTML. `height` and `hidden` are accepted as in W&B, whose HTML is a frame."""
        return self._repr_html_()

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Show it in a notebook. Returns False where there is none."""
        if not in_notebook():
            return False
        from IPython.display import HTML, display  # a notebook has it

        display(HTML(self.to_html(height, hidden)))
        return True

    def _repr_html_(self) -> str:
        raise NotImplementedError
