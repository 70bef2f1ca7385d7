import os
import sys

from carillon import program

os.execv(program(), ["carillon", *sys.argv[1:]])
