"""Scoring the method on images with masks: data set, metrics, statistics, report."""
