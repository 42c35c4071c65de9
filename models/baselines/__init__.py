"""The methods that the papers' tables compare with, behind one small contract."""
