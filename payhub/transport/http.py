"""The HTTP library of this room: httpx, or httpx2, its maintained continuation, where that is installed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpcore
    import httpx
else:
    try:
        import httpcore2 as httpcore
        import httpx2 as httpx

        if not httpx.__version__.startswith("2."):  # nobody has looked at the inside of another
            raise ImportError  # noqa: TRY301 - as good as none
    except ImportError:
        import httpcore
        import httpx

__all__ = ["httpcore", "httpx"]
