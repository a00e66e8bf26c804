"""What every worker needs, loaded once before they fork: torch above all takes seconds to import.

So does its compiler, which torch loads when shapes are worked out on the meta device, as measuring a system does.
"""

import torch._dynamo  # noqa: F401

import sequary.compare.prepare
import sequary.compare.worker  # noqa: F401
