{#-
  A text as people mean it when they type: in lower case, one space in place of any white space, none around it; null
  where nothing is left. DuckDB and PostgreSQL replace the first match only unless told `g`; Spark replaces all of them,
  and does not know the word. PostgreSQL's lower() knows the letters of the collation only, which are A to Z in C: it
  is told to take those of Unicode, and the result sorts in C again.
-#}
{% macro normalised_text(text) %}{{ return(adapter.dispatch('normalised_text', 'user_segments')(text)) }}{% endmacro %}

{% macro default__normalised_text(text) -%}
    nullif(lower(trim(regexp_replace({{ text }}, '\s+', ' ', 'g'))), '')
{%- endmacro %}

{% macro postgres__normalised_text(text) -%}
    nullif(
        lower(trim(regexp_replace({{ text }}, '\s+', ' ', 'g')) collate "und-x-icu") collate "C", ''
    )
{%- endmacro %}

{% macro spark__normalised_text(text) -%}
    nullif(lower(trim(regexp_replace({{ text }}, '\\s+', ' '))), '')
{%- endmacro %}
