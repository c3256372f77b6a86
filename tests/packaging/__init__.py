"""The source distribution and the wheel that were built, tried: ``make package``."""
