{#-
  The predicate of a segment as written in its model: the lines that end in ` as <segment>`, back to the comment, the
  blank line or the other column above them, joined by one space, without their comments.

  Lines rather than a parser of SQL, because of how a set is written (one comment over each predicate). A comment
  between the lines of a predicate is skipped: what follows it opens with and / or, or leaves a parenthesis open. An
  error names the segment where no such lines are found.
-#}
{% macro segment_predicate(node, segment) %}
    {%- set re = modules.re -%}
    {%- set last_line = re.compile('(?:^|\\s)as\\s+"?' ~ re.escape(segment) ~ '"?\\s*,?$', re.IGNORECASE) -%}
    {%- set found = namespace(text=none, whole=false) -%}

    {%- for line in node.raw_code.splitlines() | reverse -%}
        {#- A comment at the end of a line: two hyphens with an even number of quotes before them. -#}
        {%- set code = re.sub("^((?:[^']|'[^']*')*?)--.*$", '\\1', line) | trim -%}
        {%- if found.text is none and last_line.search(code) -%}
            {%- set found.text = last_line.sub('', code) | trim -%}
        {%- elif found.text is not none -%}
            {%- set outside_quotes = re.sub("'[^']*'", '', found.text) -%}
            {%- set can_begin_here = found.text and outside_quotes.count('(') == outside_quotes.count(')')
                and not re.match('(and|or)\\b', found.text, re.IGNORECASE) -%}
            {%- if can_begin_here and (not code or code.endswith(',') or code | lower == 'select') -%}
                {%- set found.whole = true -%}
                {%- break -%}
            {%- endif -%}
            {%- set found.text = (code ~ ' ' ~ found.text) | trim -%}
        {%- endif -%}
    {%- endfor -%}

    {%- if not found.whole -%}
        {%- do exceptions.raise_compiler_error(
            node.name ~ ".sql: no predicate of " ~ segment ~ " is found; end it in ` as " ~ segment ~ "`, and begin it "
            ~ "under a comment or a blank line"
        ) -%}
    {%- endif -%}
    {{ return(found.text) }}
{% endmacro %}
