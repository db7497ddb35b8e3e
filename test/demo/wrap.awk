# Breaks long lines at blanks, behind the indentation they began with.  A list
# of output columns is cut instead: EXPLAIN names all that a table has.
/^ *Output: / && length($0) > width { print substr($0, 1, width - 4) " ..."; next }
{
	line = $0
	match(line, /^ */)
	indent = sprintf("%" (RLENGTH + 4) "s", "")
	while (length(line) > width && match(substr(line, length(indent) + 1, width - length(indent)), /.* /))
	{
		at = length(indent) + RLENGTH
		print substr(line, 1, at - 1)
		line = indent substr(line, at + 1)
	}
	print line
}
