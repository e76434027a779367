"""Has the speaker finished, judged by the sound of the last seconds?"""
