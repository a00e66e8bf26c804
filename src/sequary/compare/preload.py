"""What every worker needs, loaded once before they fork: torch above all takes seconds to import."""

import sequary.compare.prepare
import sequary.compare.worker  # noqa: F401
