{#-
  What a text of JSON holds at a path, as text: 'plan', 'cart.total', or a list of keys and of places in arrays, counted
  from 0 (['cart', 'items', 0]), for keys with a dot in them too. Null where there is nothing at the path, where that is
  JSON's null, and where the text is no JSON.

  Every engine has its own function and its own way to write a path, and only Spark takes text that is no JSON: DuckDB
  and PostgreSQL stop at it. DuckDB is given a JSON pointer, the one form in which any key can be written.
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

{#- The same as a number; null where it is none. -#}
{% macro json_number(column, path, type='decimal(18, 4)') -%}
    {{ try_number(json_text(column, path), type) }}
{%- endmacro %}
