"""The lesson in the browser: `penstock lesson` opens it."""
