"""How the unknowns of a network are found."""
