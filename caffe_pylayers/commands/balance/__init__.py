"""Labels counted by class, in any source or net, and the class weights that they make."""
