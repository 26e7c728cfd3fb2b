"""The use cases, a room each: here alone what reads and writes meets what only computes.

preparing   before the first run            showing    list, show
running     the campaign                    checking   verify, export
judging     compare, summary, aa            lengths    speedup
planning    plan (known: what is stored; starts: time; commands: what to paste)
"""
