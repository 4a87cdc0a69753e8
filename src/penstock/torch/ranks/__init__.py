"""Ranks that build one model together: do they agree before anything is written, and did each write its part?"""
