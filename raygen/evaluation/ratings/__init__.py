"""Figures of ratings, whether people gave them or a judge model did: agreement, strengths from comparisons, and their intervals."""
