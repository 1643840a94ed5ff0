"""Price and usage scenarios over a base of past spend: what if prices rise, and usage grows?"""
