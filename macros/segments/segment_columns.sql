{#- The columns of int_user_segments that say what a user is in: for each set its population, then its flags or value. -#}
{% macro segment_columns() %}
    {%- set columns = [] -%}
    {%- for set in segment_sets() -%}
        {%- do columns.append('in_' ~ set.name) -%}
        {%- if set.kind == 'attribute' -%}
            {%- do columns.append(set.name) -%}
        {%- else -%}
            {%- for segment in set.segments -%}
                {%- do columns.append(set.name ~ '__' ~ segment.name) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}
