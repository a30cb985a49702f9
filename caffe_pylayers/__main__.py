"""`python -m caffe_pylayers`: the command line, where no program of that name is on PATH."""

from caffe_pylayers.commands.program import main

main()
