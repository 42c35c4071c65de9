"""The commands of ``textseg`` by what they are about; :mod:`app.cli` joins them."""
