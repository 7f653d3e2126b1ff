"""The compiled part of skbp. It has no modules where the installation found no C compiler."""
