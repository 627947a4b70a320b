"""Quantities in the form in which Kubernetes returns them, so that a refresh shows no change."""


def cores(amount: float) -> str:
    """Cores, in thousandths unless they are whole. The minimum is a thousandth."""
    thousandths = max(1, round(amount * 1000))
    whole, rest = divmod(thousandths, 1000)
    return f"{thousandths}m" if rest else str(whole)


def mebibytes(amount: int) -> str:
    """MiB, in the largest binary unit with a whole number (the canonical form of resource.Quantity)."""
    units = ("Mi", "Gi", "Ti")
    unit = 0
    while amount and amount % 1024 == 0 and unit < len(units) - 1:
        amount //= 1024
        unit += 1
    return f"{amount}{units[unit]}"
