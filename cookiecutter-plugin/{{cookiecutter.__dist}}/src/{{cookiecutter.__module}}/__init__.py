"""{{ cookiecutter.__text }}{% if cookiecutter.__text.endswith('"') %} {% endif %}"""
