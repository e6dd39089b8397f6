{#-
  What a text of JSON holds at a path, as text: 'plan', 'cart.total', or a list of keys and of places in arrays, counted
  from 0 (['cart', 'items', 0]), for keys with a dot in them too. Null where there is nothing at the path, where that is
  JSON's null, and where the text is no JSON.

  Every engine has its own function and its own way to write a path, and only Spark takes text that is no JSON: DuckDB
  and PostgreSQL stop at it. DuckDB is given a JSON pointer, the one form in which any key can be written. PostgreSQL
  before 16 cannot even ask whether a text is JSON: a function tries (create_functions).

  What lies there is given as text as each engine writes it: an object has other white space, 1e2 may become 100.0.
-#}
{% macro json_text(column, path) -%}
    {%- set steps = path.split('.') if path is string else path -%}
    {%- if steps is not sequence or steps | length == 0 or '' in steps -%}
        {%- do refuse('json_text', "path is '" ~ path ~ "'; write a key, keys with dots between them, or a list") -%}
    {%- endif -%}
    {{ return(adapter.dispatch('json_text', 'user_segments')(column, steps)) }}
{%- endmacro %}

{% macro default__json_text(column, steps) -%}
    {%- set pointer = [] -%}
    {%- for step in steps -%}
        {%- do pointer.append('/' ~ (step | string | replace('~', '~0') | replace('/', '~1'))) -%}
    {%- endfor -%}
    case when json_valid({{ column }}) then json_extract_string({{ column }}, {{ text_literal(pointer | join) }}) end
{%- endmacro %}

{% macro postgres__json_text(column, steps) -%}
    {%- set keys = [] -%}
    {%- for step in steps -%}{%- do keys.append(text_literal(step)) -%}{%- endfor -%}
    {{ target.schema }}.json_text({{ column }}, array[{{ keys | join(', ') }}])
{%- endmacro %}

{#- The same as a number; null where it is none. -#}
{% macro json_number(column, path, type='decimal(18, 4)') -%}
    {{ try_number(json_text(column, path), type) }}
{%- endmacro %}

{#-
  A step into an object is ['key'], which may hold anything but a quote, and .key where it does. What is no JSON as a
  whole is asked about first: get_json_object reads a text as far as it has to.
-#}
{% macro spark__json_text(column, steps) -%}
    {%- set path = ['$'] -%}
    {%- for step in steps -%}
        {%- if step is number -%}
            {%- do path.append('[' ~ step ~ ']') -%}
        {%- elif "'" not in step -%}
            {%- do path.append("['" ~ step ~ "']") -%}
        {%- elif '.' in step or '[' in step -%}
            {%- do refuse('json_text', "path has the key '" ~ step ~ "', which Spark cannot be asked for") -%}
        {%- else -%}
            {%- do path.append('.' ~ step) -%}
        {%- endif -%}
    {%- endfor -%}
    case
        when try_parse_json({{ column }}) is not null then get_json_object({{ column }}, {{ text_literal(path | join) }})
    end
{%- endmacro %}
