"""The page in the browser: the game to be played, and trained runs to be looked at."""
