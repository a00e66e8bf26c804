"""What a converter raises for an argument of the source that it does not take over."""


class Declined(ValueError):
    """Names the argument, its value and the reason; the system's card says the same."""
