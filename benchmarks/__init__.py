"""How fast fastlb is, measured on the machine at hand; see README.md in this folder."""
